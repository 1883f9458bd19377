//! Power is lost at any moment: what was acknowledged is there, once and in order, and nothing that
//! nobody wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::disk::{Chance, Disk};
use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// Records appended at once, of so many bytes.
    Append(Vec<u16>),
    Erase(u8),
    FailSyncs(u32),
    Full(bool),
    Retain(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec(0..900_u16, 1..12).prop_map(Step::Append),
        1 => (0..3_u8).prop_map(Step::Erase),
        1 => (1..4_u32).prop_map(Step::FailSyncs),
        1 => any::<bool>().prop_map(Step::Full),
        1 => (1_500..20_000_u64).prop_map(Step::Retain),
    ];
    prop::collection::vec(step, 1..14)
}

/// What the outside knows.
#[derive(Clone, Default)]
struct Known {
    /// Payload by sequence, of acknowledged records.
    acknowledged: BTreeMap<u64, String>,
    submitted: BTreeSet<String>,
    /// Records of a key in front of a sequence are gone for good.
    erased: BTreeMap<String, u64>,
    /// An erasure or a retention was under way or is done: records may be gone.
    erasing: BTreeSet<String>,
    retained_bytes: Option<u64>,
}

fn key_of(payload: &str) -> &str {
    payload.split('/').next().unwrap()
}

async fn run(journal: &Journal, disk: &Disk, steps: &[Step], known: &Arc<Mutex<Known>>) {
    let mut number = 0;
    for step in steps {
        match step {
            Step::Append(sizes) => {
                let appends = sizes.iter().map(|size| {
                    number += 1;
                    let payload =
                        format!("k{}/{number}/{}", number % 3, "x".repeat((*size).into()));
                    known.lock().unwrap().submitted.insert(payload.clone());
                    let (journal, known) = (journal.clone(), known.clone());
                    tokio::spawn(async move {
                        let outcome = journal.append(record(key_of(&payload), &payload)).await;
                        if let Ok(sequence) = outcome {
                            known.lock().unwrap().acknowledged.insert(sequence, payload);
                        }
                    })
                });
                for append in appends.collect::<Vec<_>>() {
                    append.await.unwrap();
                }
            }
            Step::Erase(key) => {
                let key = format!("k{key}");
                let end = {
                    let mut known = known.lock().unwrap();
                    known.erasing.insert(key.clone());
                    known.acknowledged.keys().last().map_or(0, |last| last + 1)
                };
                if journal.erase(key.as_bytes()).await.is_ok() {
                    known.lock().unwrap().erased.insert(key, end);
                }
            }
            Step::FailSyncs(count) => disk.fail_syncs(*count),
            Step::Full(is_full) => disk.set_full(*is_full),
            Step::Retain(bytes) => {
                known.lock().unwrap().retained_bytes = Some(*bytes);
                let retention =
                    Retention { age: Duration::from_secs(u64::MAX / 2_000), bytes: *bytes };
                let _ = journal.retain(retention, 1).await;
            }
        }
    }
}

fn judge(found: &[(String, String, u64)], known: &Known) -> Result<(), TestCaseError> {
    let mut last = 0;
    let mut seen = BTreeSet::new();
    for (key, payload, sequence) in found {
        prop_assert!(last < *sequence, "order: {} after {}", sequence, last);
        last = *sequence;
        prop_assert!(known.submitted.contains(payload), "nobody wrote {}", sequence);
        prop_assert!(seen.insert(payload), "twice: {}", sequence);
        let erased = known.erased.get(key).copied().unwrap_or(0);
        prop_assert!(erased <= *sequence, "erased and there: {}", sequence);
        if let Some(acknowledged) = known.acknowledged.get(sequence) {
            prop_assert_eq!(acknowledged, payload);
        }
    }
    // Retention takes whole segments from the front: what is missing lies before what is there.
    let first = found.first().map_or(u64::MAX, |(.., sequence)| *sequence);
    for (sequence, payload) in &known.acknowledged {
        let may_be_gone = known.erasing.contains(key_of(payload))
            || (known.retained_bytes.is_some() && *sequence < first);
        prop_assert!(may_be_gone || seen.contains(payload), "lost: {}", sequence);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.min(256)))]

    #[test]
    fn power_is_lost_at_any_operation(steps in steps(), at in 1..120_u64, seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let disk = Disk::default();
        let known = Arc::new(Mutex::new(Known::default()));
        let image = Arc::new(Mutex::new(None));
        let (watched, kept) = (known.clone(), image.clone());
        disk.watch(move |number, disk| {
            if number == at {
                // What was acknowledged by now, and what is on the disk after that.
                let known = watched.lock().unwrap().clone();
                *kept.lock().unwrap() = Some((known, disk.after_power_loss(&mut Chance::new(seed))));
            }
        });
        let journal = open(&disk);
        runtime.block_on(run(&journal, &disk, &steps, &known));
        drop(journal);
        let now = (known.lock().unwrap().clone(), disk.after_power_loss(&mut Chance::new(seed)));
        let taken = image.lock().unwrap().take();
        for (mut known, disk) in [Some(now), taken].into_iter().flatten() {
            for round in 0..3 {
                let journal = open(&disk);
                let found = read_all(&journal);
                judge(&found, &known)?;
                // It can be written on, and what it found stays.
                let payload = format!("after/{round}");
                known.submitted.insert(payload.clone());
                let sequence = runtime.block_on(journal.append(record("after", &payload))).unwrap();
                known.acknowledged.insert(sequence, payload);
                judge(&read_all(&journal), &known)?;
            }
        }
    }
}
