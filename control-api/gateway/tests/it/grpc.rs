//! gRPC by tonic's own client.

use std::time::Duration;

use gateway::State;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::house::House;

async fn health(house: &House) -> HealthClient<tonic::transport::Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", house.grpc)).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

fn whole() -> HealthCheckRequest {
    HealthCheckRequest { service: String::new() }
}

#[tokio::test]
async fn health_follows_readiness() {
    let house = House::new("").await;
    let mut client = health(&house).await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    let answer = client.check(whole()).await.unwrap();
    assert!(answer.metadata().contains_key("x-request-id"), "{answer:?}");
    assert!(answer.metadata().contains_key("ratelimit"), "{answer:?}");
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    let mut watched = client.watch(whole()).await.unwrap().into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    house.set_state(State::Draining);
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    let unknown = HealthCheckRequest { service: "no.such.Service".to_owned() };
    assert_eq!(client.check(unknown).await.unwrap_err().code(), Code::NotFound);
    let metrics = house.metrics();
    assert!(
        metrics.contains(r#"route="/grpc.health.v1.Health/Check",method="POST",protocol="h2""#),
        "{metrics}"
    );
}

#[tokio::test]
async fn the_callers_deadline_ends_a_stream() {
    let house = House::new("").await;
    let mut client = health(&house).await;
    let mut request = tonic::Request::new(whole());
    // Not by `set_timeout`, which ends it on this side.
    request.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let mut watched = client.watch(request).await.unwrap().into_inner();
    watched.message().await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), watched.message()).await.unwrap();
    assert_eq!(ended.unwrap_err().code(), Code::DeadlineExceeded);
    let mut request = tonic::Request::new(whole());
    request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    assert_eq!(client.check(request).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn rates_are_those_of_rest() {
    let house = House::new("[control.rate_limit]\nanonymous_per_minute = 2").await;
    let mut client = health(&house).await;
    for _ in 0..2 {
        client.check(whole()).await.unwrap();
    }
    let refused = client.check(whole()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.metadata().contains_key("ratelimit"), "{refused:?}");
    assert!(!refused.details().is_empty(), "it says the code and when to come again");
    let mut request = tonic::Request::new(whole());
    request.metadata_mut().insert("authorization", "Bearer good-ada".parse().unwrap());
    assert!(client.check(request).await.is_ok());
}

#[tokio::test]
async fn large_messages_and_unknown_methods_are_refused() {
    let house = House::new("[control.limits]\ncontent_bytes = 1024").await;
    let mut client = health(&house).await;
    let large = HealthCheckRequest { service: "x".repeat(2_000) };
    assert_eq!(client.check(large).await.unwrap_err().code(), Code::ResourceExhausted);
    let answer = crate::client::send_h2(
        house.grpc,
        "POST",
        "/no.such.Service/Method",
        &[("content-type", "application/grpc"), ("te", "trailers")],
        b"",
    )
    .await;
    assert_eq!((answer.status, answer.header("grpc-status")), (200, "12"), "{answer:?}");
}

#[tokio::test]
async fn services_are_described() {
    let house = House::new("").await;
    let endpoint = Endpoint::from_shared(format!("http://{}", house.grpc)).unwrap();
    let mut client = ServerReflectionClient::new(endpoint.connect().await.unwrap());
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = futures_util::stream::iter([request]);
    let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"] {
        assert!(names.contains(&name), "{names:?}");
    }
}
