use http::{HeaderMap, HeaderValue, header};

use super::{Credentials, credentials};

fn check(values: &[&str], expected: Result<Option<Credentials<'_>>, &str>) {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    let read = credentials(&headers).map_err(|error| error.code());
    assert_eq!(read, expected, "{values:?}");
}

#[test]
fn credentials_are_one_bearer_token() {
    check(&[], Ok(None));
    check(&["Bearer abc.def"], Ok(Some(Credentials::Bearer("abc.def"))));
    check(&["bearer  abc"], Ok(Some(Credentials::Bearer("abc"))));
    check(&["Bearer svk_1"], Ok(Some(Credentials::ApiKey("svk_1"))));
    let malformed = Err("credentials_malformed");
    for bad in ["Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "Bearer a,b", "abc"] {
        check(&[bad], malformed);
    }
    check(&["Bearer a", "Bearer b"], malformed);
    check(&[&format!("Bearer {}", "a".repeat(8 * 1024 + 1))], malformed);
}

#[test]
fn credentials_stay_out_of_logs() {
    assert!(!format!("{:?}", Credentials::Bearer("hunter2")).contains("hunter2"));
}
