//! The front of the control API: one router, its layers and its listeners.
