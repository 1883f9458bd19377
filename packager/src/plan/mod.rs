//! Where segments begin.

mod cut_list;

pub use cut_list::{CUTS_MAX, CutList, SyncTimes, plan_cuts, segment_boundaries};
