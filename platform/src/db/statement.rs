//! Statements: SQL texts with names, known before the database is opened.
//!
//! One text serves both engines. SQLite numbers `$name` parameters by their first appearance, so
//! that `$2` in front of `$1` silently swaps the two; its text therefore says `?1` and `?2`, and is
//! made by the compiler.

/// A statement that [`statements!`](crate::statements) has declared.
#[derive(Debug)]
pub struct Statement {
    name: &'static str,
    module: &'static str,
    is_system: bool,
    sqlite: &'static str,
    postgres: &'static str,
    parameters: usize,
    scans: Option<&'static str>,
}

impl Statement {
    /// For [`statements!`](crate::statements).
    #[doc(hidden)]
    pub const fn new(
        (module, name): (&'static str, &'static str),
        is_system: bool,
        (sqlite, postgres): (&'static str, &'static str),
        scans: Option<&'static str>,
    ) -> Self {
        let parameters = parameters(postgres);
        assert!(
            parameters == parameters_marked(sqlite, b'?'),
            "the two texts of a statement have different parameters"
        );
        Self { name, module, is_system, sqlite, postgres, parameters, scans }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The module that declares it.
    pub fn module(&self) -> &'static str {
        self.module
    }

    /// Whether it may cross tenants, and so runs in [`super::Db::system`] only.
    pub fn is_system(&self) -> bool {
        self.is_system
    }

    pub(super) fn sqlite(&self) -> &'static str {
        self.sqlite
    }

    pub(super) fn postgres(&self) -> &'static str {
        self.postgres
    }

    /// Highest number of a parameter.
    pub(super) fn parameters(&self) -> usize {
        self.parameters
    }

    /// Why it may read whole tables.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn scans(&self) -> Option<&'static str> {
        self.scans
    }
}

/// Declares the statements of a module as statics, and `STATEMENTS`, which lists them.
///
/// ```
/// platform::statements! {
///     /// One person by address.
///     FIND_BY_EMAIL: "SELECT id FROM account_user WHERE tenant_id = $1 AND email_norm = $2";
///     system DUE: "SELECT id FROM event_outbox WHERE due_ms <= $1 ORDER BY id LIMIT $2";
///     LANGUAGES: "SELECT tag FROM language WHERE tenant_id = $1 OR 1 = 1" scans "a few dozen rows";
///     PICK: sqlite "SELECT value FROM json_each($1) WHERE $1 <> ''"
///         postgres "SELECT value FROM json_array_elements_text(CAST($1 AS json))";
/// }
/// # fn main() { assert_eq!(STATEMENTS.len(), 4) }
/// ```
///
/// `$1` is the tenant, bound by the [`Scope`](crate::db::Scope), unless the statement is a
/// `system` one. `scans` gives the reason why a full scan of a table is no mistake.
#[macro_export]
macro_rules! statements {
    ($(
        $(#[$meta:meta])*
        $first:ident $($second:ident)? : $($engine:ident)? $text:literal $($key:ident $value:literal)* ;
    )*) => {
        $($crate::statement!(
            [$(#[$meta])*] [$first $($second)?] [$($engine)? $text $($key $value)*]
        );)*

        /// Every statement of this module.
        pub(crate) const STATEMENTS: &[&$crate::db::Statement] =
            &[$($crate::statement!(@name $first $($second)?)),*];
    };
}

/// Parts of [`statements!`].
#[doc(hidden)]
#[macro_export]
macro_rules! statement {
    (@name system $name:ident) => { &$name };
    (@name $name:ident) => { &$name };
    ([$($meta:tt)*] [system $name:ident] [$($text:tt)*]) => {
        $crate::statement!(@text [$($meta)*] $name true [$($text)*]);
    };
    ([$($meta:tt)*] [$name:ident] [$($text:tt)*]) => {
        $crate::statement!(@text [$($meta)*] $name false [$($text)*]);
    };
    (@text $meta:tt $name:ident $system:literal [sqlite $sqlite:literal postgres $postgres:literal]) => {
        $crate::statement!(@static $meta $name $system $sqlite, $postgres, None);
    };
    (@text $meta:tt $name:ident $system:literal
        [sqlite $sqlite:literal postgres $postgres:literal scans $why:literal]) => {
        $crate::statement!(@static $meta $name $system $sqlite, $postgres, Some($why));
    };
    (@text $meta:tt $name:ident $system:literal [$text:literal]) => {
        $crate::statement!(@static $meta $name $system $text, $text, None);
    };
    (@text $meta:tt $name:ident $system:literal [$text:literal scans $why:literal]) => {
        $crate::statement!(@static $meta $name $system $text, $text, Some($why));
    };
    (@static [$($meta:tt)*] $name:ident $system:literal $sqlite:literal, $postgres:literal, $scans:expr) => {
        $($meta)*
        pub(crate) static $name: $crate::db::Statement = {
            const NUMBERED: [u8; $sqlite.len()] = $crate::db::numbered($sqlite);
            const SQLITE: &str = match ::core::str::from_utf8(&NUMBERED) {
                Ok(text) => text,
                Err(_) => panic!("one byte of ASCII takes another's place"),
            };
            $crate::db::Statement::new(
                (::core::module_path!(), ::core::stringify!($name)),
                $system,
                (SQLITE, $postgres),
                $scans,
            )
        };
    };
}

/// `text` with `?1` for `$1`, outside of quotes.
#[doc(hidden)]
pub const fn numbered<const N: usize>(text: &str) -> [u8; N] {
    let text = text.as_bytes();
    let mut out = [0; N];
    let mut quote = 0;
    let mut index = 0;
    while index < N {
        let byte = text[index];
        quote = quote_after(quote, byte);
        let is_number = index + 1 < N && text[index + 1].is_ascii_digit();
        out[index] = if byte == b'$' && quote == 0 && is_number { b'?' } else { byte };
        index += 1;
    }
    out
}

/// The quote that is open after `byte`, 0 for none.
const fn quote_after(open: u8, byte: u8) -> u8 {
    match byte {
        b'\'' | b'"' if open == 0 => byte,
        _ if open != 0 && byte == open => 0,
        _ => open,
    }
}

const fn parameters(text: &str) -> usize {
    parameters_marked(text, b'$')
}

/// The highest number behind a `mark`.
const fn parameters_marked(text: &str, mark: u8) -> usize {
    let text = text.as_bytes();
    let mut highest = 0;
    let mut quote = 0;
    let mut index = 0;
    while index < text.len() {
        quote = quote_after(quote, text[index]);
        if quote == 0 && text[index] == mark {
            let mut number = 0;
            while index + 1 < text.len() && text[index + 1].is_ascii_digit() {
                index += 1;
                number = number * 10 + (text[index] - b'0') as usize;
            }
            if highest < number {
                highest = number;
            }
        }
        index += 1;
    }
    highest
}

#[cfg(test)]
mod tests {
    crate::statements! {
        /// Both engines.
        PLAIN: "SELECT a FROM t WHERE b = $2 AND tenant_id = $1 AND c = '$3' AND d = $10";
        system DUE: "SELECT a FROM t" scans "it is small";
        TWO: sqlite "SELECT $1" postgres "SELECT CAST($1 AS TEXT)";
    }

    #[test]
    fn sqlite_gets_numbered_parameters() {
        let numbered = "SELECT a FROM t WHERE b = ?2 AND tenant_id = ?1 AND c = '$3' AND d = ?10";
        assert_eq!(PLAIN.sqlite(), numbered);
        assert_eq!(PLAIN.parameters(), 10);
        assert!(!PLAIN.is_system());
        assert_eq!(PLAIN.module(), module_path!());
        assert!(DUE.is_system());
        assert_eq!(DUE.scans(), Some("it is small"));
        assert_eq!((TWO.sqlite(), TWO.postgres()), ("SELECT ?1", "SELECT CAST($1 AS TEXT)"));
        let names: Vec<_> = STATEMENTS.iter().map(|statement| statement.name()).collect();
        assert_eq!(names, ["PLAIN", "DUE", "TWO"]);
    }
}
