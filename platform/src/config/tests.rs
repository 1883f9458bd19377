//! Merging, errors, printing, reload.

use std::path::PathBuf;

use super::*;

fn sources(name: &str, text: &str) -> Sources {
    let file = SourceFile { path: PathBuf::from(name), text: text.to_owned() };
    Sources { file: Some(file), ..Sources::default() }
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn flags(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Loads `text` as a TOML file, which must fail with exactly this message.
#[track_caller]
fn refuse(text: &str, message: &str) {
    let error = Config::load(&sources("conf.toml", text)).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn the_default_file_is_the_default() {
    let loaded = Config::load(&sources("config.default.toml", DEFAULT_FILE)).unwrap();
    assert_eq!(loaded.config, Config::default());
}

/// Every key is documented: it stands in the default file, set or commented out, in its section.
#[test]
fn the_default_file_names_every_key() {
    let uncommented: String = DEFAULT_FILE
        .lines()
        .map(|line| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let key = bare.split(" = ").next().unwrap_or_default();
            let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            let is_key = bare.contains(" = ") && key.bytes().all(is_plain);
            if is_key || bare.starts_with('[') { format!("{bare}\n") } else { String::new() }
        })
        .collect();
    let tree = Tree::parse_toml(&uncommented).unwrap();
    let known = Schema::new().all_keys();
    for key in known {
        let lists = [
            "cdn.key",
            "control.transform",
            "delivery",
            "outbound.peer",
            "preset",
            "signing_key",
            "tenant",
            "tls.certificate",
            "upstream",
        ];
        let first_entry = lists.iter().fold(key.clone(), |key, list| {
            match key.strip_prefix(&format!("{list}.")) {
                Some(rest) => format!("{list}[0].{rest}"),
                None => key,
            }
        });
        assert!(tree.lines.contains_key(&first_entry), "{key} is not in config.default.toml");
    }
    let all = Config::load(&Sources {
        variables: variables(&[
            ("DATABASE_URL", "sqlite:control.db"),
            ("S3_ACCESS_KEY", "a"),
            ("OPS_KEY", "0123456789abcdef"),
            ("MAIL_PASSWORD", "a"),
            ("OLD_OPS_KEY", "fedcba9876543210"),
            ("OTLP_SECRET", "Bearer x"),
            ("SHIELD_SECRET", "0123456789abcdef"),
            ("OLD_SHIELD_SECRET", "fedcba9876543210"),
            ("OLD_SEAL", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="),
            ("VAULT_TOKEN", "t"),
            ("VAULT_ROLE_ID", "r"),
        ]),
        ..sources("all.toml", &uncommented)
    });
    // What can't be had here are the files of secrets.
    let error = all.unwrap_err();
    let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_deref()).collect();
    let files = [
        "vault.secret_id",
        "objects.s3.secret_key",
        "keys.seal",
        "signing_key[0].secret",
        "cdn.akamai.salt",
        "cdn.uri_signing.decryption_key",
        "cdn.key[0].public",
        "cdn.key[0].secret",
    ];
    assert_eq!(keys[..files.len()], files.map(Some), "{error}");
    // The file shows both forms of a key, and of a login; a real one has one of them.
    assert_eq!(keys[files.len()..], [Some("vault.token"), Some("cdn.key[0]")], "{error}");
}

#[test]
fn later_sources_win() {
    let mut sources = sources(
        "conf.toml",
        "[media]\nhttp = \"127.0.0.1:1\"\n[ops]\nhttp = \"127.0.0.1:2\"\n[log]\nlevel = \"warn\"\n",
    );
    sources.variables = variables(&[
        ("STREAMVERSE__OPS__HTTP", "127.0.0.1:3"),
        ("STREAMVERSE__LOG__LEVEL", "debug"),
        ("STREAMVERSE__OBJECTS__S3__PATH_STYLE", "true"),
        ("STREAMVERSE__NET__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("STREAMVERSE_MEDIA", "/not/ours"),
    ]);
    sources.flags = flags(&[("log.level", "trace"), ("packager.target_duration_seconds", "2")]);
    let loaded = Config::load(&sources).unwrap();

    let config = &loaded.config;
    assert_eq!(config.media.http, Listen::loopback(1));
    assert_eq!(config.ops.http, Listen::loopback(3));
    assert_eq!(config.log.level, "trace");
    assert!(config.objects.s3.path_style);
    assert_eq!(config.net.trusted_proxies.len(), 2);
    assert_eq!(config.packager.target_duration_seconds, 2.0);

    let path = PathBuf::from("conf.toml");
    assert_eq!(loaded.origin("media.http"), Origin::File { path, line: Some(2) });
    assert_eq!(loaded.origin("ops.http"), Origin::Variable("STREAMVERSE__OPS__HTTP".to_owned()));
    assert_eq!(loaded.origin("log.level"), Origin::Flag("log.level".to_owned()));
    assert_eq!(loaded.origin("data.dir"), Origin::Default);
}

#[test]
fn yaml_is_read_like_toml() {
    let toml = "[media]\nhttp = \"off\"\n[limits]\nconnections = 0x10\nheader_bytes = 2_048\n\
                [[preset]]\nname = \"low\"\npackaging = \"ts\"\nprotection = \"none\"\n";
    let yaml = "media:\n  http: \"off\"\nlimits:\n  connections: 16\n  header_bytes: 2 KiB\n\
                ops:\npreset:\n- name: low\n  packaging: ts\n  protection: none\n";
    let toml = Config::load(&sources("conf.toml", toml)).unwrap();
    let yaml = Config::load(&sources("conf.yaml", yaml)).unwrap();
    assert_eq!(toml.config, yaml.config);
    assert_eq!(toml.config.limits.connections, 16);
    let path = PathBuf::from("conf.yaml");
    assert_eq!(yaml.origin("limits.header_bytes"), Origin::File { path, line: Some(5) });
    assert_eq!(Config::load(&sources("empty.yml", "")).unwrap().config, Config::default());
}

#[test]
fn unknown_keys_name_the_nearest() {
    refuse(
        "[media]\nhtpp = \"off\"\n",
        "conf.toml:2: `media.htpp`: no such key (did you mean `media.http`?)",
    );
    refuse(
        "[media]\n\ntarget_duration_seconds = 6\n",
        "conf.toml:3: `media.target_duration_seconds`: no such key \
         (did you mean `packager.target_duration_seconds`?)",
    );
    refuse("[limit]\n", "conf.toml:1: `limit`: no such key (did you mean `limits`?)");
    refuse(
        "[[preset]]\nname = \"a\"\npackging = \"ts\"\n",
        "conf.toml:3: `preset[0].packging`: no such key (did you mean `preset.packaging`?)",
    );
    let sources = Sources {
        file: None,
        variables: variables(&[("STREAMVERSE__LOG__FORMATT", "json")]),
        flags: flags(&[("dta.dir", "x")]),
        ..Sources::default()
    };
    assert_eq!(
        Config::load(&sources).unwrap_err().to_string(),
        "variable STREAMVERSE__LOG__FORMATT: `log.formatt`: no such key (did you mean `log.format`?)\n\
         command line, dta.dir: `dta.dir`: no such key (did you mean `data.dir`?)"
    );
}

#[test]
fn what_is_not_built_says_so() {
    for section in ["events", "state", "search"] {
        refuse(
            &format!("[{section}]\nhttp = \"off\"\n"),
            &format!("conf.toml:1: `{section}`: `{section}` is not built yet (remove it)"),
        );
    }
    for (packaging, protection) in
        [("cmaf", "cenc"), ("cmaf", "cbcs"), ("ts", "aes-128"), ("ts", "sample-aes")]
    {
        refuse(
            &format!(
                "[[preset]]\nname = \"a\"\npackaging = \"{packaging}\"\nprotection = \"{protection}\"\n"
            ),
            "conf.toml:4: `preset[0].protection`: content protection is not built yet \
             (write \"none\")",
        );
    }
}

#[test]
fn wrong_values_name_place_and_cure() {
    let error = |text: &str| Config::load(&sources("c.toml", text)).unwrap_err().to_string();
    for (text, place, cause) in [
        ("[media]\nhttp = 8080\n", "c.toml:2: `media.http`:", "expected a string"),
        ("[media]\nhttp = \"8080\"\n", "c.toml:2: `media.http`:", "ADDRESS:PORT"),
        ("[limits]\nconnections = 0\n", "c.toml:2: `limits.connections`:", "from 1 to"),
        ("[limits]\nconnections = -1\n", "c.toml:2: `limits.connections`:", "u32"),
        ("[limits]\nheader_bytes = \"9 QiB\"\n", "c.toml:2: `limits.header_bytes`:", "MiB"),
        (
            "[tls]\nmin_version = \"1.1\"\n",
            "c.toml:2: `tls.min_version`:",
            "expected `1.2` or `1.3`",
        ),
        (
            "[[tls.certificate]]\nchain = \"\"\nkey = \"k\"\n",
            "c.toml:2: `tls.certificate[0].chain`:",
            "name a PEM file",
        ),
        ("[log]\nformat = \"xml\"\n", "c.toml:2: `log.format`:", "expected `text` or `json`"),
        ("[log]\nlevel = \"=,=\"\n", "c.toml:2: `log.level`:", "write error"),
        ("[objects]\nurl = \"ftp://x\"\n", "c.toml:2: `objects.url`:", "file:PATH"),
        ("[objects]\nurl = \"s3://A\"\n", "c.toml:2: `objects.url`:", "bucket"),
        ("[media]\npublic_url = \"x/\"\n", "c.toml:2: `media.public_url`:", "https://"),
        ("[packager]\ntarget_duration_seconds = nan\n", "c.toml:2:", "not finite"),
        (
            "[[preset]]\nname = \"ts\"\npackaging = \"ts\"\n",
            "c.toml:2: `preset[0].name`:",
            "exists",
        ),
        (
            "[[preset]]\nname = \"a\"\npackaging = \"ts\"\nprotection = \"cenc\"\n",
            "c.toml:4: `preset[0].protection`:",
            "protect cmaf",
        ),
        ("[[preset]]\nname = \"a\"\n", "c.toml:1: `preset[0]`:", "missing field `packaging`"),
        ("[media\nhttp = 1\n", "c.toml:1:", "correct the syntax"),
        ("media = 3\n", "c.toml:1: `media`:", "invalid type"),
    ] {
        let error = error(text);
        assert!(error.starts_with(place) && error.contains(cause), "{text:?}: {error}");
    }
    for (text, place) in
        [("media: [\n", "c.yaml:"), ("a: 1\na: 2\n", "c.yaml:2: "), ("- 1\n", "c.yaml:1:")]
    {
        let error = Config::load(&sources("c.yaml", text)).unwrap_err().to_string();
        assert!(error.starts_with(place), "{text:?}: {error}");
    }
    let error = Config::load(&sources("conf.ini", "")).unwrap_err().to_string();
    assert!(error.contains(".toml"), "{error}");
    let wrong = flags(&[("limits.connections", "many"), ("preset", "x"), ("media", "x")]);
    let by_flag = Sources { flags: wrong, ..Sources::default() };
    let error = Config::load(&by_flag).unwrap_err();
    assert_eq!(error.problems.len(), 3, "{error}");
}

#[test]
fn printing_shows_origins_and_no_secrets() {
    let mut sources = sources(
        "conf.toml",
        "[objects]\nurl = \"s3://bucket\"\n[objects.s3]\naccess_key = \"AKIAEXAMPLE\"\n\
         secret_key = \"env:SECRET\"\n[[preset]]\nname = \"low\"\npackaging = \"ts\"\n",
    );
    sources.variables = variables(&[("SECRET", "hush"), ("STREAMVERSE__MEDIA__HTTP", "off")]);
    let loaded = Config::load(&sources).unwrap();
    let s3 = &loaded.config.objects.s3;
    assert_eq!(s3.access_key.as_ref().unwrap().expose(), "AKIAEXAMPLE");
    assert_eq!(s3.secret_key.as_ref().unwrap().expose(), "hush");

    let shown = format!("{}{}{:?}", loaded.print(), loaded.to_json(), loaded.config);
    assert!(!shown.contains("AKIAEXAMPLE") && !shown.contains("hush"), "{shown}");
    let printed = loaded.print();
    for line in ["conf.toml:5", "# variable STREAMVERSE__MEDIA__HTTP", "[[preset]]", "env:SECRET"] {
        assert!(printed.contains(line), "{line} in\n{printed}");
    }
    // What is printed parses, and says the same but for the literal secret.
    let tree = Tree::parse_toml(&printed).unwrap();
    assert!(Schema::new().unknown_keys(&tree.values).is_empty());
    assert_eq!(tree.values["preset"][0]["name"], "low");
}

#[test]
fn changes_say_what_needs_a_restart() {
    let old = Config::default();
    let mut new = old.clone();
    assert_eq!(old.changes(&new), Changes::default());
    new.log.level = "debug".to_owned();
    new.media.http = Listen::Off;
    new.limits.keep_alive_seconds = 5.0;
    new.objects.s3.secret_key = Some(Secret::reference("other"));
    let changes = old.changes(&new);
    assert_eq!(changes.at_run_time, ["limits.keep_alive_seconds", "log.level"]);
    assert_eq!(changes.at_restart, ["media.http", "objects.s3.secret_key"]);

    // Two literals look alike when redacted and still differ.
    let mut newer = new.clone();
    newer.objects.s3.secret_key = Some(Secret::reference("another"));
    assert_eq!(new.changes(&newer).at_restart, ["objects.s3.secret_key"]);
}

#[test]
fn signing_keys_are_checked_and_reload() {
    let load = |text: &str| Config::load(&sources("conf.toml", text));
    let key = |id: &str, secret: &str, rest: &str| {
        format!(
            "[[signing_key]]\nid = \"{id}\"\nalgorithm = \"hmac-sha256\"\n\
             secret = \"{secret}\"\n{rest}\n"
        )
    };
    let (one, other) = ("A".repeat(43) + "=", "B".repeat(42) + "A=");
    let old = load(&key("a", &one, "")).unwrap();
    assert!(!old.print().contains("AAAA") && !format!("{:?}", old.config).contains("AAAA"));
    let replaced = load(&key("a", &other, "")).unwrap();
    assert_eq!(old.config.changes(&replaced.config).at_run_time, ["signing_key[0].secret"]);
    let two = load(&(key("a", &one, "") + &key("b", &other, "active = true"))).unwrap();
    let changes = old.config.changes(&two.config);
    assert_eq!(changes.at_run_time, ["signing_key"]);
    assert!(changes.at_restart.is_empty(), "{changes:?}");
    for (text, cause) in [
        (key("a", "AAAA", ""), "32 to 64 bytes"),
        (key("a", "!", ""), "no base64"),
        (key("a b", &one, ""), "no id"),
        (key("a", &one, "public = \"AAAA\""), "no public key"),
        (key("a", &one, "not_after = \"soon\""), "2026-01-31"),
        (key("a", &one, "") + &key("a", &one, ""), "never used again"),
        (key("a", &one, "") + &key("b", &other, ""), "active = true"),
    ] {
        let message = load(&text).unwrap_err().to_string();
        assert!(message.contains(cause), "{message}");
    }
}

#[test]
fn limits_and_players_are_checked() {
    let good = "[rate_limit]\naddress_per_second = 0\nexempt = []\n[load]\nrequests_max = 4\n\
                [cmsd]\nenabled = true\nname = \"edge 1\"\n[log]\naccess_sample = 0.5\n\
                [cache]\nprefetch = \"order\"\n";
    let config = Config::load(&sources("conf.toml", good)).unwrap().config;
    assert_eq!((config.load.requests_max, config.cache.prefetch), (4, Prefetch::Order));
    for (text, key) in [
        ("[rate_limit]\naddress_per_second = -1\n", "rate_limit.address_per_second"),
        ("[rate_limit]\nsession_burst = 0\n", "rate_limit.session_burst"),
        ("[rate_limit]\nipv4_bits = 33\n", "rate_limit.ipv4_bits"),
        ("[rate_limit]\nkeys = 1\n", "rate_limit.keys"),
        ("[load]\nrequests_max = 0\n", "load.requests_max"),
        ("[load]\nwait_seconds = 0\n", "load.wait_seconds"),
        ("[cmcd]\nevents_file = \"/\"\n", "cmcd.events_file"),
        ("[cmcd]\nevents_bytes = 1\n", "cmcd.events_bytes"),
        ("[cmsd]\nname = \"\"\n", "cmsd.name"),
        ("[log]\naccess_sample = 1.5\n", "log.access_sample"),
    ] {
        let error = Config::load(&sources("conf.toml", text)).unwrap_err();
        let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_deref()).collect();
        assert_eq!(keys, [Some(key)], "{error}");
    }
}

/// Every key that takes effect at run time exists.
#[test]
fn run_time_keys_exist() {
    let known = Schema::new().all_keys();
    for key in reload::AT_RUN_TIME {
        assert!(known.iter().any(|name| name == key), "{key}");
    }
}

/// A small file that stands for an enormous one (aliases of aliases) is refused, not expanded.
#[test]
fn yaml_aliases_do_not_explode() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    let began = std::time::Instant::now();
    assert!(Config::load(&sources("bomb.yaml", &text)).is_err());
    let deep = format!("media: {}1{}\n", "[".repeat(5_000), "]".repeat(5_000));
    assert!(Config::load(&sources("deep.yaml", &deep)).is_err());
    assert!(Config::load(&sources("deep.toml", &deep.replace(": ", " = "))).is_err());
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
}

#[test]
fn keys_of_cdns_are_checked() {
    let key = "[[cdn.key]]\nscheme = \"cat\"\nid = \"k\"\n";
    for (text, cause) in [
        ("[cdn.akamai]\nesacpe_early = true\n", "did you mean `cdn.akamai.escape_early`?"),
        ("[[cdn.key]]\nscheme = \"cat\"\nkid = \"k\"\n", "did you mean `cdn.key.id`?"),
        ("[[cdn.key]]\nscheme = \"fastly\"\nid = \"k\"\n", "uri-signing"),
        (key, "there is no key"),
        (&format!("{key}public = \"a\"\nsecret = \"b\"\n"), "both `public` and `secret`"),
        (&format!("{key}public = \"a\"\nactive = true\n"), "a public key can't sign"),
        (&format!("{key}public = \"a\"\nnot_after = \"soon\"\n"), "is no time"),
        (
            &format!(
                "{key}secret = \"b\"\nnot_before = \"2027-01-01T00:00:00Z\"\n\
                 not_after = \"2026-01-01T00:00:00Z\"\n"
            ),
            "is not after `not_before`",
        ),
        (&format!("{key}secret = \"b\"\n{key}secret = \"c\"\n"), "2 keys of `cat` can sign"),
        (&format!("{key}public = \"a\"\n").repeat(9), "9 keys of `cat` would be tried"),
        ("[[cdn.key]]\nscheme = \"cat\"\nid = \"a&b\"\nsecret = \"x\"\n", "is no id"),
        ("[[cdn.key]]\nscheme = \"akamai\"\nid = \"a\"\npublic = \"x\"\n", "no public keys"),
        ("[cdn]\nlifetime_seconds_max = 0\n", "out of range"),
        ("[cdn]\ncookie_origins = [\"https://a.example/\"]\n", "no origin of a page"),
        ("[cdn]\ncookie_origins = [\"*\"]\n", "no origin of a page"),
        ("[[delivery]]\nbase_url = \"https://h/x\"\nscheme = \"cat\"\n", "no base address"),
        (
            "[[delivery]]\nbase_url = \"https://h\"\nscheme = \"cat\"\ncarry = \"path\"\n",
            "`cat` has no tokens in paths",
        ),
        (
            "[[delivery]]\nbase_url = \"https://h\"\nscheme = \"cat\"\nkey = \"k\"\n",
            "there is no key `k` of `cat`",
        ),
        (
            "[[delivery]]\nbase_url = \"https://h\"\nscheme = \"cat\"\n\
             [[delivery]]\nbase_url = \"https://H:443\"\nscheme = \"akamai\"\n",
            "listed twice",
        ),
        (
            "[[delivery]]\nbase_url = \"https://h\"\nscheme = \"cat\"\nweight = 2\n",
            "`delivery.weight` is not built yet",
        ),
    ] {
        let error = Config::load(&sources("conf.toml", text)).unwrap_err().to_string();
        assert!(error.contains(cause), "{text}: {error}");
    }
    let good = "[[cdn.key]]\nscheme = \"cat\"\nid = \"new\"\nsecret = \"in-the-clear\"\nactive = true\n\
                [[cdn.key]]\nscheme = \"cat\"\nid = \"old\"\nsecret = \"as-well\"\n\
                [[delivery]]\nbase_url = \"https://h\"\nscheme = \"cat\"\nkey = \"old\"\n";
    let loaded = Config::load(&sources("conf.toml", good)).unwrap();
    assert!(!loaded.print().contains("in-the-clear"), "{}", loaded.print());
    let other = good.replace("in-the-clear", "another");
    let other = Config::load(&sources("conf.toml", &other)).unwrap();
    assert_eq!(loaded.config.changes(&other.config).at_run_time, ["cdn.key[0].secret"]);
}

#[test]
fn certificates_of_clients_need_an_authority() {
    let alone = Config::load(&sources("conf.toml", "[tls]\nclient_auth = \"require\"\n"));
    let text = alone.unwrap_err().to_string();
    assert!(text.contains("`tls.client_ca`: clients need a certificate"), "{text}");
    refuse(
        "[tls]\nclient_auth = \"require\"\nclient_ca = \"a.pem\"\nearly_data = true\n",
        "conf.toml:4: `tls.early_data`: early data comes before a client has shown its certificate \
         (write false, or client_auth = \"off\")",
    );
}

#[test]
fn orders_of_certificates_are_checked() {
    let problems = |text: &str| {
        let good = "directory_url = \"https://ca.example/dir\"\nterms_agreed = true\n";
        let text = format!("{text}[tls.acme]\n{good}domains = [\"a.example\"]\n");
        let replaced = Config::load(&sources("conf.toml", &text)).err();
        let problems = replaced.map(|error| error.problems).unwrap_or_default();
        problems.into_iter().filter_map(|problem| problem.key).collect::<Vec<_>>()
    };
    assert!(problems("").is_empty());
    assert_eq!(problems("[media]\nhttps = \"off\"\n"), ["tls.acme.challenge"]);
    let clients = "[tls]\nclient_auth = \"require\"\nclient_ca = \"a.pem\"\n";
    assert_eq!(problems(clients), ["tls.acme.challenge"]);

    let error = Config::load(&sources(
        "conf.toml",
        "[tls.acme]\ndirectory_url = \"http://ca.example/dir\"\ncontacts = [\"me\"]\n\
         domains = [\"*.a.example\", \"localhost\", \"10.0.0.1\", \"-a.example\"]\n",
    ));
    let text = error.unwrap_err().to_string();
    for part in [
        "`http://ca.example/dir` is no https address",
        "`*.a.example` is no host name",
        "`localhost` is no host name",
        "`10.0.0.1` is no host name",
        "`-a.example` is no host name",
        "`me` is no address",
        "`tls.acme.terms_agreed`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let nowhere = Config::load(&sources("conf.toml", "[tls.acme]\ndomains = [\"a.example\"]\n"));
    let text = nowhere.unwrap_err().to_string();
    assert!(text.contains("`tls.acme.directory_url`: is not set"), "{text}");
}

/// What a reload logs: values, and of secrets only where they are from.
#[test]
fn a_difference_shows_values_and_no_secrets() {
    let text = "[limits]\nconnections = 7\n[ops]\nkey = \"env:KEY\"\n[shield]\nsecret = \"literal-1-literal\"\n";
    let load = |text: &str, key: &str| {
        let sources = Sources { variables: variables(&[("KEY", key)]), ..sources("c.toml", text) };
        Config::load(&sources).unwrap().config
    };
    let old = load(text, "0123456789abcdef");
    assert!(old.difference(&old).is_empty());
    let changed = text.replace('7', "8").replace("literal-1", "literal-2");
    let new = load(&format!("{changed}[log]\nlevel = \"debug\"\n"), "fedcba9876543210");
    let mut lines = old.difference(&new);
    lines.sort();
    assert_eq!(
        lines,
        [
            "limits.connections: 7 -> 8",
            "log.level: \"info\" -> \"debug\"",
            "ops.key: another secret",
            "shield.secret: another secret",
        ]
    );
}

/// The reader is asked once for all, signed in by what was looked up before.
#[test]
fn secrets_are_read_from_a_vault() {
    fn reader(vault: &Vault, wanted: &[String]) -> BTreeMap<String, Result<String, String>> {
        assert_eq!(vault.token.as_ref().map(Secret::expose), Some("t"));
        assert_eq!(wanted, ["kv/a#b", "kv/a#c"]);
        let read = |reference: &String| match reference.as_str() {
            "kv/a#b" => Ok("0123456789abcdef".to_owned()),
            other => Err(format!("vault:{other}: nothing lies at that path")),
        };
        wanted.iter().map(|wanted| (wanted.clone(), read(wanted))).collect()
    }
    let text = |key| {
        format!(
            "[ops]\nkey = \"vault:kv/a#b\"\nprevious_key = \"{key}\"\n[shield]\nsecret = \"vault:kv/a#c\"\n\
             [vault]\naddress = \"https://vault.example.org\"\ntoken = \"env:TOKEN\"\n"
        )
    };
    let load = |text: &str, vault: Option<VaultReader>| {
        let variables = variables(&[("TOKEN", "t")]);
        Config::load(&Sources { variables, vault, ..sources("c.toml", text) })
    };
    let error = load(&text("vault:kv/a#b"), Some(reader)).unwrap_err().to_string();
    assert_eq!(error, "c.toml:5: `shield.secret`: vault:kv/a#c: nothing lies at that path");
    let fine = text("vault:kv/a#b").replace("secret = \"vault:kv/a#c\"", "");
    let error = load(&fine, None).unwrap_err().to_string();
    assert!(error.contains("no Vault was asked"), "{error}");
    let circular = fine.replace("env:TOKEN", "vault:kv/a#t");
    let error = load(&circular, Some(reader)).unwrap_err().to_string();
    assert!(error.contains("can't lie in it"), "{error}");
    for (from, to, wanted) in [
        ("https://vault.example.org", "http://vault.example.org", "no address"),
        ("token = \"env:TOKEN\"", "role_id = \"r\"", "takes `token`"),
        (
            "token = ",
            "login_mount = \"x\"\nrole_id = \"r\"\nsecret_id = \"s\"\ntoken = ",
            "takes `token`",
        ),
    ] {
        let text = fine.replace("vault:kv/a#b", "0123456789abcdef").replace(from, to);
        let error = load(&text, None).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
