use super::*;

fn message(key: &str) -> MailMessage {
    MailMessage {
        to: "Zoë <zoe@example.org>".to_owned(),
        subject: "Grüße".to_owned(),
        text: "Hello\n.\nwörld".to_owned(),
        html: Some("<p>Hello</p>".to_owned()),
        unsubscribe: Some(Unsubscribe { url: "https://example.org/u?t=1".to_owned() }),
        key: key.to_owned(),
    }
}

#[tokio::test]
async fn a_folder_holds_each_message_once_and_not_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let config = config::Mail { folder_messages_max: 3, ..config::Mail::default() };
    let metrics = ServiceMetrics::default();
    let mailer = Mailer::open(&config, dir.path(), config::Outbound::default(), metrics).unwrap();
    let now_ms = i64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis(),
    )
    .unwrap();
    let files = || std::fs::read_dir(dir.path().join("mail")).unwrap().count();
    for _ in 0..2 {
        mailer.send(&message("a"), now_ms).await.unwrap();
    }
    assert_eq!(files(), 1);
    for key in ["b", "c", "d", "e"] {
        mailer.send(&message(key), now_ms).await.unwrap();
    }
    assert_eq!(files(), 3);
    let text = std::fs::read_to_string(dir.path().join("mail").join(message("e").file_name()));
    let text = text.unwrap();
    for line in [
        "List-Unsubscribe: <https://example.org/u?t=1>\r\n",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
        "Message-ID: <",
        "multipart/alternative",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn headers_take_no_line_breaks() {
    let from = "no-reply@example.org".parse().unwrap();
    let good = message("a");
    assert!(good.write(&from, None, 0).is_ok());
    let unsubscribe = |url: &str| Some(Unsubscribe { url: url.to_owned() });
    for bad in [
        MailMessage { to: "a@b.example\r\nBcc: c@d.example".to_owned(), ..good.clone() },
        MailMessage { to: "a@b.example, c@d.example".to_owned(), ..good.clone() },
        MailMessage { subject: "x\r\nBcc: c@d.example".to_owned(), ..good.clone() },
        MailMessage { subject: "x".repeat(501), ..good.clone() },
        MailMessage { unsubscribe: unsubscribe("http://example.org/"), ..good.clone() },
        MailMessage { unsubscribe: unsubscribe("https://example.org/>\r\nX: y"), ..good.clone() },
        MailMessage { text: "x".repeat((1 << 20) + 1), ..good.clone() },
    ] {
        let written = bad.write(&from, None, 0);
        assert!(matches!(written, Err(MailError::Message { .. })), "{bad:?}");
    }
}

#[test]
fn targets_are_told_apart() {
    let smtp = |port, is_tls| Ok(Target::Smtp { host: "mail.example".to_owned(), port, is_tls });
    assert_eq!(Target::parse(Some("smtp://mail.example")), smtp(587, false));
    assert_eq!(Target::parse(Some("smtps://mail.example:10465/")), smtp(10_465, true));
    assert_eq!(Target::parse(Some("dir:/m")), Ok(Target::Folder(Some("/m".into()))));
    assert_eq!(Target::parse(None), Ok(Target::Folder(None)));
    for bad in ["", "dir:", "http://a", "smtp://u:p@mail.example", "smtp://mail.example/x"] {
        assert!(Target::parse(Some(bad)).is_err(), "{bad}");
    }
}
