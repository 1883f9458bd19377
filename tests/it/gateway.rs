//! The control role of the whole program: its listeners, a reload, a hand-over. What the gateway
//! does with requests is tested where it lies, in `control-api/gateway`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::{Answer, Client};
use crate::server::{Server, streamverse_fails};
use crate::tools;

const PREFLIGHT: [(&str, &str); 2] =
    [("Origin", "https://www.example.org"), ("Access-Control-Request-Method", "GET")];

fn preflight(address: SocketAddr) -> Answer {
    Client::new(address).send("OPTIONS", "/v1/me", &PREFLIGHT)
}

#[test]
fn the_control_api_listens_beside_media() {
    let data = tools::folder("gateway").join("data");
    let server = Server::start_closed(&data);
    for address in [server.control("control_http"), server.control("control_grpc")] {
        let mut client = Client::new(address);
        assert_eq!(client.get("/health").text(), "ok\n");
        assert_eq!(client.get("/ready").text(), "ready\n");
    }
    let absent = Client::new(server.control("control_http")).send("GET", "/v1/nothing", &[]);
    assert_eq!((absent.status, absent.json()["code"].as_str()), (404, Some("no_such_route")));
    let url = format!("https://localhost:{}/nope", server.control("control_https").port());
    let trust = data.join("tls/development.pem");
    let answer = tools::run("curl", &["-sS", "-i", "--cacert", tools::text(&trust), &url]);
    assert!(answer.starts_with("HTTP/2 404") && answer.contains("strict-transport"), "{answer}");
    let metrics = Client::new(server.ops).get("/metrics").text().to_owned();
    assert!(metrics.contains("streamverse_gateway_running 0"), "{metrics}");
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn a_hang_up_changes_what_the_gateway_lets_in() {
    let folder = tools::folder("gateway_reload");
    let config = folder.join("conf.toml");
    std::fs::write(&config, "").expect("the file can be written");
    let arguments = ["--config", tools::text(&config)];
    let server = Server::start_closed_with(&folder.join("data"), &arguments, &[]);
    let address = server.control("control_http");
    assert_eq!(preflight(address).status, 403);
    let text = "[control]\ncors_origins = [\"https://www.example.org\"]\n\
                [control.rate_limit]\nanonymous_per_minute = 7\n";
    std::fs::write(&config, text).expect("the file can be written");
    server.signal("HUP");
    let deadline = Instant::now() + Duration::from_secs(20);
    while preflight(address).status != 204 {
        assert!(Instant::now() < deadline, "nothing changed: {}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let answer = Client::new(address).send("GET", "/v1/openapi.json", &[]);
    assert_eq!(answer.header("ratelimit-policy"), "\"anonymous\";q=7;w=60");
}

#[test]
fn what_cannot_be_served_is_refused() {
    let data = tools::folder("gateway_refused").join("data");
    let serve = |variable: (&str, &str)| {
        let command = std::process::Command::new(crate::server::BINARY)
            .args(["serve", "--data", tools::text(&data)])
            .env(variable.0, variable.1)
            .output();
        let output = command.expect("the program starts");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let open = serve(("STREAMVERSE__CONTROL__HTTP", "0.0.0.0:0"));
    assert!(open.contains("without TLS") && open.contains("insecure"), "{open}");
    let absent = serve(("STREAMVERSE__CONTROL__DOMAINS", "nothing"));
    assert!(absent.contains("`nothing`"), "{absent}");
    let encoder = streamverse_fails(&["serve", "--data", tools::text(&data), "--roles", "encoder"]);
    assert!(encoder.contains("not built yet"), "{encoder}");
}
