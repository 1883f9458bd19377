//! Records, and the one form in which they are hashed.

use serde_json::{Value, json};

use crate::db::TenantId;

/// Longest actor, action, resource and request id.
const NAME_BYTES_MAX: usize = 256;
/// Largest `before` and `after`, each, in bytes of canonical JSON.
const STATE_BYTES_MAX: usize = 64 << 10;
/// Beyond this a number in JSON isn't the same for everybody (RFC 7493 2.2).
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// What somebody did.
#[derive(Clone, Debug)]
pub struct Record {
    pub at_ms: i64,
    /// Who, by id: `staff/…`, `user/…`, `machine/…`, `system`.
    pub actor: String,
    /// What, as a verb of a thing: `user.suspend`.
    pub action: String,
    /// To what, by id: `user/…`.
    pub resource: String,
    /// The parts of the resource that changed, without personal data.
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub request_id: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum RecordError {
    #[error("the {what} of an audit record has {bytes} bytes, 1 to {bytes_max} are allowed")]
    Size { what: &'static str, bytes: usize, bytes_max: usize },

    #[error("an audit record holds the number {number}, which JSON can't say exactly; use text")]
    Number { number: String },

    #[error("an audit record has no canonical form: {reason}")]
    Form { reason: String },
}

/// A record as its row has it: `before` and `after` are canonical JSON.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Stored {
    pub(super) at_ms: i64,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) request_id: Option<String>,
}

impl Record {
    pub(super) fn into_stored(self) -> Result<Stored, RecordError> {
        let names = [
            ("actor", self.actor.len()),
            ("action", self.action.len()),
            ("resource", self.resource.len()),
            ("request id", self.request_id.as_deref().map_or(1, str::len)),
        ];
        for (what, bytes) in names {
            check_size(what, bytes, NAME_BYTES_MAX)?;
        }
        Ok(Stored {
            at_ms: self.at_ms,
            actor: self.actor,
            action: self.action,
            resource: self.resource,
            before: self.before.as_ref().map(state).transpose()?,
            after: self.after.as_ref().map(state).transpose()?,
            request_id: self.request_id,
        })
    }
}

impl Stored {
    /// The bytes that are hashed: RFC 8785 of an object with all fields, absent ones null.
    ///
    /// `before` and `after` go in as text, so that each of their bytes counts.
    pub(super) fn canonical(&self, tenant: &TenantId, sequence: i64) -> Vec<u8> {
        let object = json!({
            "tenant": tenant.as_str(),
            "sequence": sequence.to_string(),
            "at_ms": self.at_ms.to_string(),
            "actor": self.actor,
            "action": self.action,
            "resource": self.resource,
            "before": self.before,
            "after": self.after,
            "request_id": self.request_id,
        });
        // Text and null alone: there is nothing that could have no form.
        serde_json_canonicalizer::to_vec(&object).unwrap_or_default()
    }
}

fn check_size(what: &'static str, bytes: usize, bytes_max: usize) -> Result<(), RecordError> {
    if bytes == 0 || bytes_max < bytes {
        return Err(RecordError::Size { what, bytes, bytes_max });
    }
    Ok(())
}

fn state(value: &Value) -> Result<String, RecordError> {
    check_numbers(value)?;
    let form = serde_json_canonicalizer::to_string(value);
    let form = form.map_err(|error| RecordError::Form { reason: error.to_string() })?;
    check_size("state", form.len(), STATE_BYTES_MAX)?;
    Ok(form)
}

/// RFC 8785 writes numbers as IEEE 754 doubles: larger integers would lose their last digits, and two
/// different records would have one hash.
fn check_numbers(value: &Value) -> Result<(), RecordError> {
    match value {
        Value::Number(number) => {
            let is_exact = match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => number <= NUMBER_MAX,
                (None, Some(number)) => number.unsigned_abs() <= NUMBER_MAX,
                (None, None) => number.as_f64().is_some_and(f64::is_finite),
            };
            let number = || RecordError::Number { number: number.to_string() };
            if is_exact { Ok(()) } else { Err(number()) }
        }
        Value::Array(values) => values.iter().try_for_each(check_numbers),
        Value::Object(members) => members.values().try_for_each(check_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}
