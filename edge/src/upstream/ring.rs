//! Which upstream a title belongs to: weighted rendezvous hashing with bounded loads.
//!
//! Every edge ranks the upstreams of a title in the same order, by a score made of title and
//! upstream alone. Taking one away moves its titles to the next in *their* rankings and no others
//! (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998; the weighted
//! score `-w / ln u` gives each its share exactly). An upstream with more requests under way than
//! its bound passes new ones on, as in Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with
//! bounded loads", 2016.

/// Requests under way below which no upstream counts as loaded: among few requests every one is a
/// large share.
pub const LOAD_FLOOR: u32 = 8;

/// What a rendezvous needs to know of an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// From [`seed_of`].
    pub seed: u64,
    pub weight: u32,
    /// Requests under way.
    pub load: u32,
}

/// What distinguishes an upstream in every ranking: its name, the same on every edge.
pub fn seed_of(name: &str) -> u64 {
    hash(name.as_bytes())
}

/// What decides about a path: its first two parts, so that everything of one title, its segments
/// and its manifests, comes from one upstream and warms one index (`/vod/{asset}/…`).
pub fn key_of(path: &str) -> u64 {
    let parts = path.match_indices('/').map(|(index, _)| index);
    // The third slash ends the second part.
    let end = parts.take(3).nth(2).unwrap_or(path.len());
    hash(&path.as_bytes()[..end])
}

/// All candidates by their index, best first: those below their bound in the order of their
/// scores, then the rest in the same order. `load_factor` is above 1.
pub fn order(key: u64, candidates: &[Candidate], load_factor: f64) -> Vec<usize> {
    let total_load: u64 = candidates.iter().map(|it| u64::from(it.load)).sum();
    let total_weight: u64 = candidates.iter().map(|it| u64::from(it.weight)).sum();
    let is_full = |candidate: &Candidate| {
        bound(candidate.weight, total_weight, total_load, load_factor) <= candidate.load
    };
    let mut ranking: Vec<(bool, f64, usize)> = candidates
        .iter()
        .enumerate()
        .map(|(index, it)| (is_full(it), score(key, it), index))
        .collect();
    ranking.sort_unstable_by(|left, right| {
        left.0.cmp(&right.0).then(right.1.total_cmp(&left.1)).then(left.2.cmp(&right.2))
    });
    ranking.into_iter().map(|(_, _, index)| index).collect()
}

/// Requests that a candidate may have under way, the next one of the whole set included.
fn bound(weight: u32, total_weight: u64, total_load: u64, load_factor: f64) -> u32 {
    let share = f64::from(weight) / total_weight as f64;
    let fair = (total_load + 1) as f64 * share;
    // Casts from f64 saturate, which is what is wanted here.
    LOAD_FLOOR.max((fair * load_factor).ceil() as u32)
}

/// `-w / ln u`, u uniform in (0, 1): the largest of these is each candidate's with a chance of its
/// weight's share.
fn score(key: u64, candidate: &Candidate) -> f64 {
    let mixed = mix(key ^ candidate.seed);
    let uniform = ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(candidate.weight) / uniform.ln()
}

/// The finaliser of SplitMix64.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn hash(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates(weights: &[u32]) -> Vec<Candidate> {
        let of = |(index, weight): (usize, &u32)| Candidate {
            seed: seed_of(&format!("origin-{index}.example.org")),
            weight: *weight,
            load: 0,
        };
        weights.iter().enumerate().map(of).collect()
    }

    #[test]
    fn a_title_is_two_parts_of_a_path() {
        let key = key_of("/vod/film-1/cmaf/master.m3u8");
        assert_eq!(key, key_of("/vod/film-1/fmp4/hd/7.m4s"));
        assert_eq!(key, key_of("/vod/film-1"));
        assert_ne!(key, key_of("/vod/film-2/cmaf/master.m3u8"));
        assert_ne!(key, key_of("/live/film-1/cmaf/master.m3u8"));
        assert_ne!(key_of("/time"), key_of("/"));
    }

    #[test]
    fn shares_follow_weights() {
        let candidates = candidates(&[1, 2, 5]);
        let mut shares = [0_u32; 3];
        for title in 0..16_000 {
            shares[order(key_of(&format!("/vod/{title}/")), &candidates, 1.25)[0]] += 1;
        }
        for (share, expected) in shares.into_iter().zip([2_000, 4_000, 10_000]) {
            assert!(share.abs_diff(expected) < expected / 10, "{shares:?}");
        }
    }

    /// Every edge of every version must agree, or titles are fetched twice: what the first version
    /// said is kept.
    #[test]
    fn rankings_never_change() {
        let candidates = candidates(&[1, 1, 1, 1]);
        let first = |title: &str| order(key_of(title), &candidates, 1.25);
        assert_eq!(
            [first("/vod/a/x"), first("/vod/b/x"), first("/live/a/x")],
            [vec![0, 1, 3, 2], vec![0, 2, 1, 3], vec![3, 0, 2, 1]]
        );
    }

    proptest! {
        #[test]
        fn removal_moves_only_the_share_of_the_removed(
            weights in prop::collection::vec(1..10_u32, 2..20),
            removed in any::<prop::sample::Index>(),
            titles in prop::collection::vec(any::<u64>(), 1..200),
        ) {
            let all = candidates(&weights);
            let removed = removed.index(all.len());
            let mut rest = all.clone();
            rest.remove(removed);
            for title in titles {
                let before = order(title, &all, 1.25);
                let after = order(title, &rest, 1.25);
                let named = after.iter().map(|index| index + usize::from(removed <= *index));
                let without: Vec<usize> =
                    before.into_iter().filter(|index| *index != removed).collect();
                prop_assert_eq!(named.collect::<Vec<_>>(), without);
            }
        }

        /// Requests come for few hot titles and end in any order: whoever takes one stays within
        /// its bound, and everyone is ranked once.
        #[test]
        fn load_stays_within_its_bound(
            weights in prop::collection::vec(1..10_u32, 1..10),
            events in prop::collection::vec((0..3_u64, any::<prop::sample::Index>(), 0..4_u8), 1..500),
            load_factor in 1.05..3.0_f64,
        ) {
            let mut candidates = candidates(&weights);
            let total_weight: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            let mut under_way = Vec::new();
            for (title, ended, kind) in events {
                if kind == 0 && !under_way.is_empty() {
                    let index: usize = under_way.swap_remove(ended.index(under_way.len()));
                    candidates[index].load -= 1;
                    continue;
                }
                let ranking = order(title, &candidates, load_factor);
                let mut sorted = ranking.clone();
                sorted.sort_unstable();
                prop_assert_eq!(sorted, (0..candidates.len()).collect::<Vec<_>>());
                let first = &mut candidates[ranking[0]];
                first.load += 1;
                under_way.push(ranking[0]);
                let share = f64::from(first.weight) / total_weight as f64;
                let fair = under_way.len() as f64 * share;
                let allowed = f64::from(LOAD_FLOOR).max((fair * load_factor).ceil());
                prop_assert!(f64::from(first.load) <= allowed);
            }
        }
    }
}
