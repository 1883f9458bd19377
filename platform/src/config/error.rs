//! Why a configuration is refused.

use std::fmt;

use super::Origin;

/// Everything that is wrong with a configuration; one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub problems: Vec<Problem>,
}

/// One thing that is wrong: where, which key, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    pub key: Option<String>,
    pub cause: String,
    pub cure: Option<String>,
}

impl ConfigError {
    pub(super) fn one(origin: Origin, key: Option<&str>, cause: String, cure: &str) -> Self {
        let key = key.map(str::to_owned);
        Self { problems: vec![Problem { origin, key, cause, cure: Some(cure.to_owned()) }] }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.origin)?;
        if let Some(key) = &self.key {
            write!(formatter, "`{key}`: ")?;
        }
        formatter.write_str(&self.cause)?;
        match &self.cure {
            Some(cure) => write!(formatter, " ({cure})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
