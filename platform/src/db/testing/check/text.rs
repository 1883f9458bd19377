//! What a statement's text may say.

use crate::db::Statement;
use crate::db::sql::{Kind, Token, tokens};

/// Words that one engine doesn't know, or that read a clock.
const BANNED: [(&[&str], &str); 12] = [
    (&["now"], "bind the time"),
    (&["CURRENT_TIMESTAMP"], "bind the time"),
    (&["CURRENT_DATE"], "bind the time"),
    (&["strftime"], "bind the time"),
    (&["random"], "bind what is random"),
    (&["FOR", "UPDATE"], "decide in one statement"),
    (&["SKIP", "LOCKED"], "claim by UPDATE … RETURNING"),
    (&["ILIKE"], "keep a normalised column"),
    (&["ANY"], "give the list as JSON, in two texts"),
    (&["INSERT", "OR"], "write ON CONFLICT"),
    (&["rowid"], "PostgreSQL has none"),
    (&["LIKE"], "its case differs between the engines; compare a range of a normalised column"),
];

pub(super) fn faults(statement: &Statement) -> Vec<String> {
    let mut faults = Vec::new();
    let texts = [statement.sqlite(), statement.postgres()];
    let is_shared = texts[1].replace('$', "?") == texts[0].replace('$', "?");
    let words = words(texts[1]);
    let has = |wanted: &str| words.iter().any(|token| token.is_word(wanted));
    if !statement.is_system() {
        if !has("tenant_id") {
            faults.push("is a tenant's and doesn't name tenant_id".into());
        }
        if !uses_first(texts[1]) {
            faults.push("is a tenant's and doesn't use $1, which is the tenant".into());
        }
    }
    if is_shared {
        for (banned, cure) in BANNED {
            if words.windows(banned.len()).any(|window| is_phrase(window, banned)) {
                faults.push(format!("`{}` is not portable; {cure}", banned.join(" ")));
            }
        }
    }
    let is_star = |pair: &[Token<'_>]| {
        (pair[0].is_word("SELECT") || pair[0].is_word("RETURNING") || pair[0].is_sign("."))
            && pair[1].is_sign("*")
    };
    if words.windows(2).any(is_star) {
        faults.push("asks for `*`; name the columns, as later migrations add some".into());
    }
    faults
}

fn words(text: &str) -> Vec<Token<'_>> {
    tokens(text).into_iter().filter(|token| token.kind != Kind::Gap).collect()
}

fn is_phrase(window: &[Token<'_>], words: &[&str]) -> bool {
    window.iter().zip(words).all(|(token, word)| token.is_word(word))
}

fn uses_first(text: &str) -> bool {
    words(text).windows(2).any(|pair| pair[0].is_sign("$") && pair[1].is_word("1"))
}
