//! SQL as words and signs: enough to turn the migrations' one text into what each engine takes.

/// A piece of SQL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A keyword or a plain name.
    Word,
    /// A string, or a name in quotes.
    Quoted,
    /// One other character.
    Sign,
    /// White space or a comment.
    Gap,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
}

impl Token<'_> {
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }
}

/// The pieces of `text`, which together are `text`.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = match first {
            '\'' | '"' => (Kind::Quoted, quoted_length(rest, first)),
            _ if rest.starts_with("--") => (Kind::Gap, rest.find('\n').unwrap_or(rest.len())),
            _ if first.is_whitespace() => {
                (Kind::Gap, rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len()))
            }
            _ if is_word(first) => {
                (Kind::Word, rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()))
            }
            _ => (Kind::Sign, first.len_utf8()),
        };
        let (text, behind) = rest.split_at(length);
        out.push(Token { kind, text });
        rest = behind;
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Up to the closing quote; a doubled one begins the next piece, which does no harm.
fn quoted_length(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |end| end + 2)
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// What an engine is given of a migration.
pub(super) fn ddl(text: &str, dialect: Dialect) -> String {
    let text = part_of(text, dialect);
    let mut out = String::with_capacity(text.len() + 64);
    let tokens = tokens(&text);
    let mut statement = StatementHead::default();
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        let length = match dialect {
            Dialect::Sqlite => sqlite_token(&tokens[index..], &statement, &mut out),
            Dialect::Postgres => postgres_token(token, &statement, &mut out),
        };
        for token in &tokens[index..index + length] {
            statement.see(token);
        }
        index += length;
    }
    if dialect == Dialect::Sqlite && statement.is_table() {
        out.push_str(" STRICT");
    }
    out
}

/// The lines for one engine.
fn part_of(text: &str, dialect: Dialect) -> String {
    let mut is_in = true;
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match line.trim() {
            "-- only sqlite" => is_in = dialect == Dialect::Sqlite,
            "-- only postgres" => is_in = dialect == Dialect::Postgres,
            "-- both" => is_in = true,
            _ if is_in => {
                out.push_str(line);
                out.push('\n');
            }
            _ => {}
        }
    }
    out
}

/// The statement that a token belongs to.
#[derive(Debug, Default)]
struct StatementHead {
    first: Vec<String>,
    depth: usize,
    /// Whether the last word was a name, and a type may follow.
    is_after_name: bool,
}

impl StatementHead {
    fn see(&mut self, token: &Token<'_>) {
        match token.kind {
            Kind::Gap => return,
            Kind::Sign => match token.text {
                "(" => self.depth += 1,
                ")" => self.depth = self.depth.saturating_sub(1),
                ";" => *self = Self::default(),
                _ => {}
            },
            Kind::Word if self.first.len() < 2 => self.first.push(token.text.to_ascii_uppercase()),
            Kind::Word | Kind::Quoted => {}
        }
        let is_keyword = || BEFORE_NAMES.iter().any(|word| token.is_word(word));
        self.is_after_name = token.kind != Kind::Sign && !is_keyword();
    }

    fn begins(&self, words: [&str; 2]) -> bool {
        self.first == words
    }

    fn is_table(&self) -> bool {
        self.begins(["CREATE", "TABLE"])
    }

    /// Whether a type may stand here.
    fn takes_type(&self) -> bool {
        let depth = usize::from(self.is_table());
        (self.is_table() || self.begins(["ALTER", "TABLE"]))
            && self.depth == depth
            && self.is_after_name
    }
}

/// Words that a column's name may follow, which may be that of a type: `ADD COLUMN text TEXT`.
const BEFORE_NAMES: [&str; 7] = ["ADD", "AS", "COLUMN", "DROP", "EXISTS", "RENAME", "TO"];

const IDENTITIES: [&[&str]; 2] = [
    &["BIGINT", "GENERATED", "ALWAYS", "AS", "IDENTITY", "PRIMARY", "KEY"],
    &["BIGINT", "GENERATED", "BY", "DEFAULT", "AS", "IDENTITY", "PRIMARY", "KEY"],
];

/// Writes what SQLite is given for the first of `tokens`; tells how many that was.
fn sqlite_token(tokens: &[Token<'_>], statement: &StatementHead, out: &mut String) -> usize {
    for identity in IDENTITIES {
        if let Some(length) = begins_with(tokens, identity) {
            out.push_str("INTEGER PRIMARY KEY AUTOINCREMENT");
            return length;
        }
    }
    if let Some(length) = begins_with(tokens, &["DOUBLE", "PRECISION"]) {
        out.push_str("REAL");
        return length;
    }
    let token = tokens[0];
    if token.is_sign(";") && statement.is_table() {
        out.push_str(" STRICT;");
        return 1;
    }
    out.push_str(match token {
        _ if token.is_word("BIGINT") || token.is_word("BOOLEAN") => "INTEGER",
        _ if token.is_word("BYTEA") => "BLOB",
        _ => token.text,
    });
    1
}

/// How many tokens the words take, when they come first.
fn begins_with(tokens: &[Token<'_>], words: &[&str]) -> Option<usize> {
    let mut words = words.iter();
    let mut wanted = words.next()?;
    for (index, token) in tokens.iter().enumerate() {
        if token.is_word(wanted) {
            match words.next() {
                Some(word) => wanted = word,
                None => return Some(index + 1),
            }
        } else if index == 0 || token.kind != Kind::Gap {
            return None;
        }
    }
    None
}

/// Text is in the order of its bytes, as it is in SQLite, whatever the database's own order is.
fn postgres_token(token: &Token<'_>, statement: &StatementHead, out: &mut String) -> usize {
    out.push_str(token.text);
    if token.is_word("TEXT") && statement.takes_type() {
        out.push_str(" COLLATE \"C\"");
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "CREATE TABLE a (t TEXT NOT NULL, b BOOLEAN DEFAULT FALSE, -- BIGINT; here
 n BIGINT CHECK (CAST(n AS TEXT) <> 'TEXT;'), d DOUBLE  PRECISION, x BYTEA);
CREATE TABLE s (n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
-- only sqlite
CREATE INDEX l ON a (t);
-- only postgres
CREATE INDEX p ON a (t);
-- both
ALTER TABLE a ADD COLUMN e TEXT;
CREATE TABLE z (q TEXT, text TEXT)";

    #[test]
    fn sqlite_gets_its_own_types_and_strict_tables() {
        let wanted = "CREATE TABLE a (t TEXT NOT NULL, b INTEGER DEFAULT FALSE, -- BIGINT; here
 n INTEGER CHECK (CAST(n AS TEXT) <> 'TEXT;'), d REAL, x BLOB) STRICT;
CREATE TABLE s (n INTEGER PRIMARY KEY AUTOINCREMENT) STRICT;
CREATE INDEX l ON a (t);
ALTER TABLE a ADD COLUMN e TEXT;
CREATE TABLE z (q TEXT, text TEXT)
 STRICT";
        assert_eq!(ddl(TEXT, Dialect::Sqlite), wanted);
    }

    #[test]
    fn text_is_in_the_order_of_bytes_on_postgresql() {
        let wanted = "CREATE TABLE a (t TEXT COLLATE \"C\" NOT NULL, b BOOLEAN DEFAULT FALSE, -- BIGINT; here
 n BIGINT CHECK (CAST(n AS TEXT) <> 'TEXT;'), d DOUBLE  PRECISION, x BYTEA);
CREATE TABLE s (n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
CREATE INDEX p ON a (t);
ALTER TABLE a ADD COLUMN e TEXT COLLATE \"C\";
CREATE TABLE z (q TEXT COLLATE \"C\", text TEXT COLLATE \"C\")
";
        assert_eq!(ddl(TEXT, Dialect::Postgres), wanted);
    }

    #[test]
    fn tokens_are_the_whole_text() {
        for text in ["", "'open", "a''b", "é -- x", "\"q\" ;;('", TEXT] {
            assert_eq!(tokens(text).iter().map(|token| token.text).collect::<String>(), text);
        }
    }
}
