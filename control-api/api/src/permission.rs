//! What staff may do and machines may call, as types.
//!
//! A name is `area:verb` (`users:write`). Names are compared whole: a role lists what it grants, and
//! nothing stands for everything, so that a new permission is given to nobody by accident.

/// A permission of staff, or a scope of an API key. Made by [`permissions!`](crate::permissions).
pub trait Permission: Send + Sync + 'static {
    const NAME: &'static str;
    /// A sentence for the document and for whoever edits roles.
    const ABOUT: &'static str;
}

/// A permission as a value, for lists of them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PermissionEntry {
    pub name: &'static str,
    pub about: &'static str,
}

/// Asks for the realm alone: any member of staff, any API key of the tenant.
#[derive(Clone, Copy, Debug)]
pub struct Any;

impl Permission for Any {
    const NAME: &'static str = "";
    const ABOUT: &'static str = "";
}

/// Defines the permissions of a domain: a type for each, and `PERMISSIONS`, the list of all, which
/// goes into the OpenAPI document.
///
/// ```
/// api::permissions! {
///     /// See accounts of viewers.
///     UsersRead = "users:read", "See accounts of viewers.";
/// }
/// ```
#[macro_export]
macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $about:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl $crate::permission::Permission for $name {
                const NAME: &'static str = $text;
                const ABOUT: &'static str = $about;
            }
        )*

        /// All permissions of this domain.
        pub const PERMISSIONS: &[$crate::permission::PermissionEntry] = &[
            $($crate::permission::PermissionEntry { name: $text, about: $about }),*
        ];
    };
}
