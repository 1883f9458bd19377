//! Making, changing, choosing and removing profiles.

use api::etag::IfMatch;
use api::{ApiError, FieldError, Result};
use platform::db::{DbError, TenantId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::model::{Change, Preferences, ProfileError, Wish};
use super::store::{self, Profile};
use crate::accounts::{Accounts, allowed, new_id, pool_error};
use crate::password::{Password, PasswordHash, Verdict};
use crate::session::store as sessions;
use crate::throttle::{self, Subject};

/// A profile as its household sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProfileView {
    pub id: String,
    pub name: String,
    pub avatar: Option<String>,
    pub is_kids: bool,
    /// Titles above this class are not shown.
    pub rating_max: Option<String>,
    pub language: Option<String>,
    /// Whether choosing it takes a PIN.
    pub has_pin: bool,
    #[serde(skip)]
    pub version: i64,
}

impl Accounts {
    /// `POST /v1/profiles`.
    pub async fn add_profile(
        &self,
        tenant: &TenantId,
        user_id: &str,
        wish: Wish,
    ) -> Result<ProfileView> {
        wish.check().map_err(invalid)?;
        let Some(name) = wish.name.clone() else {
            return Err(invalid(ProfileError {
                pointer: "/name",
                detail: "A profile has a name.",
            }));
        };
        let now_ms = self.now_ms();
        let empty = Profile {
            id: new_id(now_ms),
            name,
            avatar: None,
            is_kids: false,
            rating_max: None,
            language: None,
            pin_hash: None,
            preferences: "{}".to_owned(),
            version: 1,
        };
        let profile = self.wished(empty, wish).await?;
        let profiles_max = self.tier(tenant, user_id).await?.profiles_max();
        let view = profile.clone().view();
        let input = (user_id.to_owned(), profile, profiles_max, now_ms);
        let scope = self.scope(tenant);
        let is_added = scope.tx(input, |tx, (user_id, profile, profiles_max, now_ms)| {
            Box::pin(store::add(tx, user_id, profile, *profiles_max, *now_ms))
        });
        if is_added.await? {
            return Ok(view);
        }
        let detail = format!("The plan allows {profiles_max} profiles.");
        Err(ApiError::conflict("too_many_profiles", detail))
    }

    /// `GET /v1/profiles`.
    pub async fn profiles(&self, tenant: &TenantId, user_id: &str) -> Result<Vec<ProfileView>> {
        let profiles = store::list(&self.scope(tenant), user_id).await?;
        Ok(profiles.into_iter().map(Profile::view).collect())
    }

    /// `GET /v1/profiles/{id}`.
    pub async fn profile(&self, tenant: &TenantId, user_id: &str, id: &str) -> Result<ProfileView> {
        self.kept_profile(tenant, user_id, id).await.map(Profile::view)
    }

    async fn kept_profile(&self, tenant: &TenantId, user_id: &str, id: &str) -> Result<Profile> {
        let profile = store::get(&self.scope(tenant), user_id, id).await?;
        profile.ok_or_else(not_found)
    }

    /// Whether the profile is the person's; for what belongs to it.
    pub(crate) async fn require_profile(
        &self,
        tenant: &TenantId,
        user_id: &str,
        id: &str,
    ) -> Result<()> {
        self.kept_profile(tenant, user_id, id).await.map(|_| ())
    }

    /// `PATCH /v1/profiles/{id}`. A profile with a PIN is changed with it alone.
    pub async fn change_profile(
        &self,
        tenant: &TenantId,
        (user_id, id): (&str, &str),
        wish: Wish,
        pin: Option<&str>,
        held: Option<&IfMatch>,
    ) -> Result<ProfileView> {
        wish.check().map_err(invalid)?;
        let profile = self.kept_profile(tenant, user_id, id).await?;
        if let Some(held) = held {
            held.require(profile.version)?;
        }
        self.prove_pin(tenant, user_id, &profile, pin).await?;
        let profile = self.wished(profile, wish).await?;
        self.write(tenant, profile).await.map(Profile::view)
    }

    /// `GET /v1/profiles/{id}/preferences`.
    pub async fn preferences(
        &self,
        tenant: &TenantId,
        user_id: &str,
        id: &str,
    ) -> Result<(Value, i64)> {
        let profile = self.kept_profile(tenant, user_id, id).await?;
        Ok((Preferences::kept(&profile.preferences).into_value(), profile.version))
    }

    /// `PATCH /v1/profiles/{id}/preferences`: a merge patch (RFC 7396).
    pub async fn patch_preferences(
        &self,
        tenant: &TenantId,
        (user_id, id): (&str, &str),
        patch: &Value,
        held: Option<&IfMatch>,
    ) -> Result<(Value, i64)> {
        let mut profile = self.kept_profile(tenant, user_id, id).await?;
        if let Some(held) = held {
            held.require(profile.version)?;
        }
        let patched = Preferences::kept(&profile.preferences).patched(patch).map_err(invalid)?;
        profile.preferences = patched.text();
        let profile = self.write(tenant, profile).await?;
        Ok((patched.into_value(), profile.version))
    }

    async fn write(&self, tenant: &TenantId, mut profile: Profile) -> Result<Profile> {
        let input = (profile.clone(), self.now_ms());
        let scope = self.scope(tenant);
        let version =
            scope.tx(input, |tx, (profile, now_ms)| Box::pin(store::change(tx, profile, *now_ms)));
        // Between reading and writing somebody else has changed it.
        profile.version = version.await?.ok_or_else(IfMatch::mismatch)?;
        Ok(profile)
    }

    /// `DELETE /v1/profiles/{id}`, with its history and lists.
    pub async fn remove_profile(
        &self,
        tenant: &TenantId,
        user_id: &str,
        id: &str,
        pin: Option<&str>,
    ) -> Result<()> {
        let profile = self.kept_profile(tenant, user_id, id).await?;
        self.prove_pin(tenant, user_id, &profile, pin).await?;
        let input = (user_id.to_owned(), id.to_owned());
        let scope = self.scope(tenant);
        let removed = scope.tx(input, |tx, (user_id, id)| {
            Box::pin(async move {
                let is_removed = store::remove(tx, user_id, id).await?;
                let left = if is_removed {
                    sessions::leave_profile(tx, user_id, id).await?
                } else {
                    Vec::new()
                };
                Ok::<_, DbError>((is_removed, left))
            })
        });
        let (is_removed, left) = removed.await?;
        self.forget_sessions(tenant, &left);
        if is_removed {
            return Ok(());
        }
        Err(ApiError::conflict("last_profile", "An account keeps one profile at least."))
    }

    /// `POST /v1/profiles/{id}/select`: the session goes on in this profile.
    pub async fn select_profile(
        &self,
        tenant: &TenantId,
        (user_id, session_id): (&str, &str),
        id: &str,
        pin: Option<&str>,
    ) -> Result<ProfileView> {
        let profile = self.kept_profile(tenant, user_id, id).await?;
        self.prove_pin(tenant, user_id, &profile, pin).await?;
        let input = (session_id.to_owned(), id.to_owned());
        let scope = self.scope(tenant);
        let set = scope
            .tx(input, |tx, (session_id, id)| Box::pin(sessions::set_profile(tx, session_id, id)));
        set.await?;
        self.sessions.forget(tenant.as_str(), session_id);
        Ok(profile.view())
    }

    /// Five wrong PINs of an account, and all its PINs are locked for a quarter of an hour.
    async fn prove_pin(
        &self,
        tenant: &TenantId,
        user_id: &str,
        profile: &Profile,
        pin: Option<&str>,
    ) -> Result<()> {
        let Some(hash) = &profile.pin_hash else { return Ok(()) };
        let Some(pin) = pin else {
            return Err(ApiError::forbidden("pin_required", "The profile asks for its PIN."));
        };
        let subject = Subject::of("pin", &[user_id]);
        let charges = vec![(subject.clone(), throttle::PIN)];
        let scope = self.scope(tenant);
        allowed(throttle::charge_all(&scope, charges, self.now_ms()).await?)?;
        let hash = PasswordHash::read(hash);
        let hash = hash.map_err(|error| ApiError::internal("internal", error))?;
        let wrong = || ApiError::forbidden("wrong_pin", "The PIN is wrong.");
        let pin = Password::typed(pin).map_err(|_| wrong())?;
        let verdict = self.parts.hashes.verify(pin, Some(hash)).await.map_err(pool_error)?;
        if matches!(verdict, Verdict::Wrong) {
            return Err(wrong());
        }
        scope.tx(subject, |tx, subject| Box::pin(throttle::forgive(tx, subject))).await?;
        Ok(())
    }

    async fn wished(&self, mut profile: Profile, wish: Wish) -> Result<Profile> {
        if let Some(name) = wish.name {
            profile.name = name;
        }
        profile.is_kids = wish.is_kids.unwrap_or(profile.is_kids);
        profile.avatar = wish.avatar.apply(profile.avatar);
        profile.rating_max = wish.rating_max.apply(profile.rating_max);
        profile.language = wish.language.apply(profile.language);
        match wish.pin {
            Change::Keep => {}
            Change::Clear => profile.pin_hash = None,
            Change::Set(pin) => {
                let pin =
                    Password::typed(&pin).map_err(|error| ApiError::internal("internal", error))?;
                let hash = self.parts.hashes.hash(pin).await.map_err(pool_error)?;
                profile.pin_hash = Some(hash.text().to_owned());
            }
        }
        Ok(profile)
    }
}

impl Profile {
    fn view(self) -> ProfileView {
        ProfileView {
            id: self.id,
            name: self.name,
            avatar: self.avatar,
            is_kids: self.is_kids,
            rating_max: self.rating_max,
            language: self.language,
            has_pin: self.pin_hash.is_some(),
            version: self.version,
        }
    }
}

fn invalid(error: ProfileError) -> ApiError {
    ApiError::validation(vec![FieldError::new(error.pointer, "invalid_text", error.detail)])
}

fn not_found() -> ApiError {
    ApiError::not_found("profile_not_found", "There is no such profile.")
}
