//! Spans as a receiver reads them. Its messages are those of opentelemetry-proto's own fields, read
//! by tag and wire type without the code that wrote them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use gateway::Exporter;
use http::{HeaderMap, StatusCode};
use platform::outbound::Outbound;
use platform::telemetry::trace::{self, SpanKind, TraceContext};

use crate::client::send;
use crate::house::{House, config};

type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

async fn receive(State(received): State<Received>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut received = received.lock().unwrap();
    received.push((headers, body));
    // The first batch has to be sent again.
    if received.len() == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

/// The fields of one message: number and content, of length-delimited and of 64-bit fields.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let (first, rest) = bytes.split_first().expect("a varint ends");
            *bytes = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                break;
            }
        }
        number
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let len = match key & 7 {
            0 => {
                found.push((key >> 3, varint(&mut bytes).to_be_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)).unwrap(),
            other => panic!("wire type {other}"),
        };
        let (content, rest) = bytes.split_at(len);
        found.push((key >> 3, content.to_vec()));
        bytes = rest;
    }
    found
}

fn one(message: &[u8], number: u64) -> Vec<u8> {
    fields(message).into_iter().find(|(n, _)| *n == number).map(|(_, c)| c).unwrap_or_default()
}

fn all(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    fields(message).into_iter().filter(|(n, _)| *n == number).map(|(_, c)| c).collect()
}

#[tokio::test]
async fn spans_arrive_with_their_parents() {
    let received = Received::default();
    let router = axum::Router::new()
        .route("/v1/traces", axum::routing::post(receive))
        .with_state(Arc::clone(&received));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let text = format!(
        "[telemetry]\notlp_endpoint = \"http://{receiver}\"\notlp_secret = \"Bearer s\"\nservice_name = \"gate\""
    );
    let settings = config(&text);
    let outbound = Outbound::new(&settings.outbound).unwrap();
    let exporter = Exporter::start(&settings.telemetry, &outbound).unwrap().expect("it is on");
    let house = House::new(&text).await;

    // Spans of other tests of this process go to the same receiver: a trace of its own tells them apart.
    let parent = "00-c0ffee3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    send(house.rest, "POST", "/v1/things/7", &[("traceparent", parent)], b"").await;
    let unsampled = parent.replace("-01", "-00").replace("c0ff", "d0ff");
    send(house.rest, "POST", "/v1/things/8", &[("traceparent", &unsampled)], b"").await;
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", parent.parse().unwrap());
    let context = TraceContext::of(&headers, 0.0);
    trace::in_context(context.clone(), async {
        let mut span = trace::span("db.query", SpanKind::Client).expect("it is recorded");
        span.set("db.rows", 3_i64);
        span.fail();
    })
    .await;
    exporter.finish().await;
    tokio::time::sleep(Duration::from_millis(50)).await;

    let received = received.lock().unwrap().clone();
    assert!(2 <= received.len(), "it is sent again after 503");
    assert_eq!(received[0].1, received[1].1, "the same batch");
    let (headers, body) = &received[1];
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["authorization"], "Bearer s");
    let batches: Vec<_> = received[1..].iter().map(|(_, body)| one(body, 1)).collect();
    let resource_spans = one(body, 1);
    let resource = String::from_utf8_lossy(&one(&resource_spans, 1)).into_owned();
    assert!(resource.contains("service.name") && resource.contains("gate"), "{resource:?}");
    let spans: Vec<_> = batches.iter().flat_map(|batch| all(&one(batch, 2), 2)).collect();
    let of_trace = |high: u128| {
        let id = (high << 112 | 0xee35_77b3_4da6_a3ce_929d_0e0e_4736).to_be_bytes();
        spans.iter().filter(move |span| one(span, 1) == id).cloned().collect::<Vec<_>>()
    };
    let (spans, unsampled) = (of_trace(0xc0ff), of_trace(0xd0ff));
    assert!(unsampled.is_empty(), "the caller records nothing");
    let named = |name: &str| {
        let found = spans.iter().find(|span| one(span, 5) == name.as_bytes());
        found.unwrap_or_else(|| panic!("no `{name}`")).clone()
    };
    let request = named("POST /v1/things/{id}");
    assert_eq!(one(&request, 4), 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    assert_eq!(one(&request, 6).last(), Some(&2), "it is a server's");
    let nanos = |number| u64::from_le_bytes(one(&request, number).try_into().unwrap());
    assert!(1_700_000_000_000_000_000 < nanos(7) && nanos(7) <= nanos(8));
    let attributes = all(&request, 9).concat();
    let attributes = String::from_utf8_lossy(&attributes).into_owned();
    assert!(attributes.contains("http.route") && attributes.contains("streamverse.tenant"));
    let query = named("db.query");
    assert_eq!(one(&query, 4), context.span_id.to_be_bytes(), "it lies within the request's");
    assert_eq!(one(&one(&query, 15), 3).last(), Some(&2), "it has failed");
}
