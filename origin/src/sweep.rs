//! Removing what ingests left whose process is gone.
//!
//! An ingest writes into a folder that no document names until its last step, so that one which
//! crashed and one which is under way look alike. What tells them apart is the claim that an
//! ingest holds, `ingests/{id}/{generation}` ([`platform::objects::Claim`]): its folder is removed
//! only by whoever could take the claim over, which nobody can while its holder lives. The
//! holder confirms its claim right before it publishes, so that one which was taken for dead fails
//! and publishes no title with holes. Claims lie beside the titles and not in them, so that looking
//! for dead ones is one listing, however many titles there are.
//!
//! The order is: claim, then document, then folder, and the claim goes last. A sweep that crashes
//! leaves the claim for the next one.
//!
//! Folders can also be without claim and without name: those of earlier generations that a document
//! has dropped, and those of crashes before ingests held claims. [`sweep_title`] removes
//! them by their age, which their names tell: never younger than a retired generation is served.

use platform::objects::{ObjectError, ObjectKey};

use crate::OriginError;
use crate::asset::{ASSETS_FOLDER, AssetId};
use crate::ingest::RETIRED_DAYS;
use crate::library::Library;

/// Folder of the object store that holds the claims of ingests.
pub const CLAIMS_FOLDER: &str = "ingests";
/// More ingests than ever are under way or crashed at once.
const CLAIMS_MAX: usize = 100_000;
/// More files than a generation has.
const FILES_MAX: usize = 100_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A generation that was removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Swept {
    pub id: AssetId,
    pub generation: String,
}

/// Where the ingest of a generation holds its claim.
pub(crate) fn claim_key(id: &AssetId, generation: &str) -> Result<ObjectKey, ObjectError> {
    format!("{CLAIMS_FOLDER}/{id}/{generation}").parse()
}

fn claim_of(key: &ObjectKey) -> Option<(AssetId, String)> {
    let below = key.as_str().strip_prefix(CLAIMS_FOLDER)?.strip_prefix('/')?;
    let (id, generation) = below.split_once('/')?;
    let is_one_part = !generation.contains('/');
    is_one_part.then_some((AssetId::new(id).ok()?, generation.to_owned()))
}

/// Removes what crashed ingests left, of all titles or of one. `now_ms` counts from 1970.
///
/// What can't be removed is logged and stays for the next time.
///
/// # Errors
/// When claims can't be listed.
pub async fn sweep(
    library: &Library,
    of: Option<&AssetId>,
    now_ms: u64,
) -> Result<Vec<Swept>, OriginError> {
    let folder: ObjectKey = match of {
        Some(id) => format!("{CLAIMS_FOLDER}/{id}").parse()?,
        None => CLAIMS_FOLDER.parse()?,
    };
    let mut swept = Vec::new();
    for entry in library.store().list(Some(&folder), CLAIMS_MAX).await? {
        let Some((id, generation)) = claim_of(&entry.key) else {
            continue;
        };
        match sweep_claim(library, &entry.key, &id, &generation, now_ms).await {
            Ok(true) => swept.push(Swept { id, generation }),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%id, generation, %error, "could not remove what an ingest left");
            }
        }
    }
    Ok(swept)
}

/// Whether something was removed.
async fn sweep_claim(
    library: &Library,
    key: &ObjectKey,
    id: &AssetId,
    generation: &str,
    now_ms: u64,
) -> Result<bool, OriginError> {
    let Some(claim) = library.store().take_over(key, now_ms).await? else {
        return Ok(false);
    };
    let is_removed = remove_unless_named(library, id, generation).await?;
    claim.release().await?;
    if is_removed {
        tracing::info!(%id, generation, "removed what an ingest left that did not end");
    }
    Ok(is_removed)
}

/// Removes a generation's folder, unless the title's document names it. Gives whether there was
/// something to remove.
///
/// # Errors
/// Also when the document can't be read: it might name the folder.
pub(crate) async fn remove_unless_named(
    library: &Library,
    id: &AssetId,
    generation: &str,
) -> Result<bool, OriginError> {
    match library.document(id).await {
        Ok(document) if document.names(generation) => return Ok(false),
        Ok(_) | Err(OriginError::UnknownAsset { .. }) => {}
        Err(error) => return Err(error),
    }
    remove(library, id, generation).await
}

/// Removes a generation's folder. Gives whether there was something to remove.
pub(crate) async fn remove(
    library: &Library,
    id: &AssetId,
    generation: &str,
) -> Result<bool, OriginError> {
    let folder = id.key(generation)?;
    let files = library.store().list(Some(&folder), FILES_MAX).await?;
    for file in &files {
        library.store().delete(&file.key).await?;
    }
    Ok(!files.is_empty())
}

/// Removes the folders of a title that no document and no claim names, once they are old.
///
/// # Errors
/// When folders, claims or the document can't be read.
pub async fn sweep_title(
    library: &Library,
    id: &AssetId,
    now_ms: u64,
) -> Result<Vec<Swept>, OriginError> {
    sweep_unnamed(library, id, |generation| is_old(generation, now_ms)).await
}

/// Removes the folders of a title that no document and no claim names, and that `goes` names.
pub(crate) async fn sweep_unnamed(
    library: &Library,
    id: &AssetId,
    goes: impl Fn(&str) -> bool,
) -> Result<Vec<Swept>, OriginError> {
    // Folders, claims, document, in this order: an ingest that begins later is in no list, and one
    // that ends meanwhile gives up its claim only when the document names its folder.
    let title: ObjectKey = format!("{ASSETS_FOLDER}/{id}").parse()?;
    let folders = library.store().list_folders(&title).await?;
    let claims: ObjectKey = format!("{CLAIMS_FOLDER}/{id}").parse()?;
    let claims = library.store().list(Some(&claims), CLAIMS_MAX).await?;
    let claimed: Vec<_> = claims.iter().filter_map(|entry| Some(claim_of(&entry.key)?.1)).collect();
    let mut swept = Vec::new();
    for generation in folders {
        if claimed.contains(&generation) || !goes(&generation) {
            continue;
        }
        if remove_unless_named(library, id, &generation).await? {
            tracing::info!(%id, generation, "removed a generation that no document names");
            swept.push(Swept { id: id.clone(), generation });
        }
    }
    Ok(swept)
}

/// Whether a generation began longer ago than an earlier one is served. Its name is a UUID whose
/// first 48 bits are milliseconds since 1970 (RFC 9562 5.7); other folders are not ours.
fn is_old(generation: &str, now_ms: u64) -> bool {
    let Ok(uuid) = uuid::Uuid::try_parse(generation) else {
        return false;
    };
    let began_ms = (uuid.as_u128() >> 80) as u64;
    uuid.get_version_num() == 7 && now_ms.saturating_sub(began_ms) > (RETIRED_DAYS + 1) * DAY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_tells_its_age() {
        let generation = uuid::Uuid::now_v7().simple().to_string();
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = since_1970.unwrap().as_millis() as u64;
        assert!(!is_old(&generation, now_ms));
        assert!(!is_old(&generation, now_ms + RETIRED_DAYS * DAY_MS));
        assert!(is_old(&generation, now_ms + (RETIRED_DAYS + 2) * DAY_MS));
        assert!(!is_old("0192", u64::MAX), "no name that we give");
        let random = "c56a4180-65aa-42ec-a945-5fd21dec0538";
        assert!(!is_old(random, u64::MAX), "version 4 has no time");
    }

    #[test]
    fn a_claim_names_a_generation() {
        let id = AssetId::new("film").unwrap();
        let key = claim_key(&id, "0192").unwrap();
        assert_eq!(claim_of(&key), Some((id, "0192".to_owned())));
        for other in [
            "ingests",
            "ingests/film",
            "ingests/film/0192/more",
            "assets/film/0192",
            "ingestsx/a/b",
        ] {
            assert_eq!(claim_of(&other.parse().unwrap()), None, "{other}");
        }
    }
}
