//! The vocabulary that every domain of the control API shares: errors, callers, pages, tags.
