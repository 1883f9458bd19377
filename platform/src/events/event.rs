//! Facts as they are published, events as they are stored, and CloudEvents 1.0 as the world sees
//! them (JSON event format 1.0.2; extensions `partitionkey` and `traceparent`).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::topic::Topic;
use crate::db::{DbError, Row, TenantId};

/// What happened, for [`super::publish`].
#[derive(Clone, Debug)]
pub struct Fact {
    /// When it happened, milliseconds since 1970.
    pub at_ms: i64,
    pub topic: Topic,
    /// Events of one key are handled in order: the id of a user or of content.
    pub key: String,
    /// What it is about, `user/…` or `content/…`. [`super::erase`] goes by it.
    pub subject: String,
    /// Of `data`, 1 to [`Topic::schema_version`].
    pub schema_version: u32,
    pub data: Value,
    /// Of the request that caused it (W3C Trace Context).
    pub traceparent: Option<String>,
}

/// A fact that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub tenant: TenantId,
    /// Its place in the log; none before the relay has numbered it.
    pub sequence: i64,
    pub id: Uuid,
    pub topic: Topic,
    pub schema_version: u32,
    pub key: String,
    pub subject: String,
    pub at_ms: i64,
    /// None once it was erased.
    pub data: Option<Value>,
    pub traceparent: Option<String>,
}

/// In the order of [`Event::of_row`].
pub(super) type EventRow =
    (String, i64, String, String, i64, String, String, i64, Option<String>, Option<String>);

impl Event {
    /// `/tenant/{tenant}/{aggregate}`: together with the id it names the event in the world.
    pub fn source(&self) -> String {
        let aggregate = self.subject.split('/').next().unwrap_or_default();
        format!("/tenant/{}/{aggregate}", self.tenant)
    }

    /// The JSON of a CloudEvent.
    pub fn to_cloud_event(&self) -> Value {
        let mut object = Map::new();
        let at = jiff::Timestamp::from_millisecond(self.at_ms).unwrap_or_default();
        let schema = format!("urn:streamverse:event:{}:{}", self.topic, self.schema_version);
        for (name, value) in [
            ("specversion", json!("1.0")),
            ("id", json!(self.id.to_string())),
            ("source", json!(self.source())),
            ("type", json!(self.topic.name())),
            ("subject", json!(self.subject)),
            ("time", json!(at.to_string())),
            ("datacontenttype", json!("application/json")),
            ("dataschema", json!(schema)),
            ("partitionkey", json!(self.key)),
        ] {
            object.insert(name.to_owned(), value);
        }
        if let Some(traceparent) = &self.traceparent {
            object.insert("traceparent".to_owned(), json!(traceparent));
        }
        match &self.data {
            Some(data) => object.insert("data".to_owned(), data.clone()),
            None => object.insert("erased".to_owned(), json!(true)),
        };
        Value::Object(object)
    }

    pub(super) fn of_row(row: &Row) -> Result<Self, DbError> {
        let (tenant, sequence, id, topic, version, key, subject, at_ms, data, traceparent) =
            row.decode::<EventRow>()?;
        let fail = |what: &str| DbError::Decode { reason: format!("event {id} has {what}") };
        let data = data.map(|data| serde_json::from_str(&data)).transpose();
        Ok(Self {
            tenant: TenantId::new(&tenant).map_err(|_| fail("no tenant"))?,
            sequence,
            id: id.parse().map_err(|_| fail("no UUID"))?,
            topic: Topic::of_name(&topic).ok_or_else(|| fail("a topic that is not known"))?,
            schema_version: u32::try_from(version).map_err(|_| fail("no version"))?,
            data: data.map_err(|_| fail("data that is no JSON"))?,
            key,
            subject,
            at_ms,
            traceparent,
        })
    }
}
