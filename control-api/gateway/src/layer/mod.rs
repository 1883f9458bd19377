//! The layers, one file each. [`crate::app`] has their order.

pub(crate) mod content;
pub(crate) mod cors;
pub(crate) mod deadline;
pub(crate) mod headers;
pub(crate) mod panics;
pub(crate) mod places;
pub(crate) mod problems;
pub(crate) mod rates;
pub(crate) mod transform;
