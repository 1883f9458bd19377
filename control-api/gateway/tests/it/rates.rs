//! How often somebody may ask.

use crate::client::{Answer, get, send};
use crate::house::{House, config};

const BEHIND: &str = "[net]\ntrusted_proxies = [\"127.0.0.1\"]\n";

async fn from(house: &House, client: &str, target: &str) -> Answer {
    send(house.rest, "GET", target, &[("x-forwarded-for", client)], b"").await
}

#[tokio::test]
async fn an_address_without_credentials_has_a_budget() {
    let text = format!("{BEHIND}[control.rate_limit]\nanonymous_per_minute = 3");
    let house = House::new(&text).await;
    for left in ["2", "1", "0"] {
        let answer = from(&house, "192.0.2.1", "/v1/slow").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), "\"anonymous\";q=3;w=60");
        let state = answer.header("ratelimit").to_owned();
        assert!(state.starts_with(&format!("\"anonymous\";r={left};t=")), "{state}");
    }
    let refused = from(&house, "192.0.2.1", "/v1/slow").await;
    refused.is_problem(429, "rate_limited");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").contains("r=0"), "{refused:?}");
    // Paths that don't exist count, and other addresses don't.
    from(&house, "192.0.2.1", "/nope").await.is_problem(429, "rate_limited");
    assert_eq!(from(&house, "192.0.2.2", "/v1/slow").await.status, 200);
    // A household of IPv6 is one.
    for host in 1..=3 {
        assert_eq!(from(&house, &format!("2001:db8::{host}"), "/v1/slow").await.status, 200);
    }
    from(&house, "2001:db8::ffff", "/v1/slow").await.is_problem(429, "rate_limited");
    assert_eq!(from(&house, "2001:db8:0:1::1", "/v1/slow").await.status, 200);
    // Health is asked by machines that have no patience.
    for _ in 0..5 {
        assert_eq!(from(&house, "192.0.2.1", "/ready").await.status, 200);
    }
    house
        .gateway
        .reload(&config(&format!("{BEHIND}[control.rate_limit]\nexempt = [\"192.0.2.0/24\"]")));
    assert_eq!(from(&house, "192.0.2.1", "/v1/slow").await.header("ratelimit"), "");
}

#[tokio::test]
async fn a_principal_has_one_budget_wherever_they_are() {
    let text =
        format!("{BEHIND}[control.rate_limit]\nanonymous_per_minute = 2\nsigned_in_per_minute = 4");
    let house = House::new(&text).await;
    let me = |client: &'static str, token: &'static str| {
        let address = house.rest;
        async move {
            let headers = [("x-forwarded-for", client), ("authorization", token)];
            send(address, "GET", "/v1/me", &headers, b"").await
        }
    };
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"] {
        let answer = me(client, "Bearer good-ada").await;
        assert_eq!(answer.text(), "ada");
        assert_eq!(answer.header("ratelimit-policy"), "\"signed-in\";q=4;w=60");
    }
    me("192.0.2.5", "Bearer good-ada").await.is_problem(429, "rate_limited");
    assert_eq!(me("192.0.2.5", "Bearer good-eve").await.text(), "eve");
    // Whoever guesses spends the address's other budget, and then isn't looked at any more.
    for _ in 0..2 {
        me("198.51.100.1", "Bearer forged").await.is_problem(401, "invalid_token");
    }
    me("198.51.100.1", "Bearer forged").await.is_problem(429, "rate_limited");
    me("198.51.100.1", "Bearer good-bob").await.is_problem(429, "rate_limited");
    // A neighbour who was known before is still.
    assert_eq!(me("198.51.100.1", "Bearer good-eve").await.text(), "eve");
}

#[tokio::test]
async fn attempts_to_sign_in_are_few() {
    let text =
        format!("{BEHIND}[control.rate_limit]\nlogin_per_minute = 5\nlogin_account_per_minute = 2");
    let house = House::new(&text).await;
    let attempt = |client: &'static str, email: &'static str| {
        let address = house.rest;
        async move {
            let body = format!("{{\"email\":\"{email}\",\"password\":\"x\"}}");
            let headers = [("x-forwarded-for", client), ("content-type", "application/json")];
            send(address, "POST", "/v1/login", &headers, body.as_bytes()).await
        }
    };
    let first = attempt("192.0.2.1", "ada@example.org").await;
    assert!(first.text().contains("password"), "the handler has all of it: {first:?}");
    assert_eq!(first.header("ratelimit-policy"), "\"login-account\";q=2;w=60");
    assert_eq!(attempt("192.0.2.1", " ADA@example.org").await.status, 200);
    attempt("192.0.2.1", "ada@example.org").await.is_problem(429, "rate_limited");
    // The account is not locked for others, and the address may try others until its own end.
    assert_eq!(attempt("192.0.2.2", "ada@example.org").await.status, 200);
    assert_eq!(attempt("192.0.2.1", "bob@example.org").await.status, 200);
    assert_eq!(attempt("192.0.2.1", "eve@example.org").await.status, 200);
    attempt("192.0.2.1", "zoe@example.org").await.is_problem(429, "rate_limited");
}

/// Sixty-four at once are never more than the budget.
#[tokio::test]
async fn a_budget_holds_under_concurrency() {
    let house = House::new("[control.rate_limit]\nanonymous_per_minute = 10").await;
    let requests = (0..64).map(|_| get(house.rest, "/v1/slow?20"));
    let answers = futures_util::future::join_all(requests).await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((10..=11).contains(&passed), "{passed}");
}
