//! The configuration: defaults, then a TOML or YAML file, then variables, then flags.
//!
//! [`Config::load`] is a function of its [`Sources`] (and of the files that `file:` secrets name),
//! so that a reload is a second call and tests need no environment. Each key keeps the
//! [`Origin`] of its value, which error messages and [`Loaded::print`] show.
//!
//! A variable is `STREAMVERSE__SECTION__KEY`; deeper sections take a further `__`. Lists of plain
//! values are separated by commas there and in flags; lists of tables stand in the file alone.

mod cdn;
mod check;
mod control;
mod control_check;
mod database;
mod error;
mod feed;
mod guard;
mod keyring;
mod keys;
mod mail;
mod model;
mod outbound;
mod preset;
mod print;
mod reload;
mod secret;
mod tree;
mod upstream;
mod value;
mod vault;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub use cdn::{
    Akamai, Carry, Cat, Cdn, CdnKey, CdnScheme, Cloudfront, Delivery, UriSigning, web_origin,
};
pub use control::{
    Control, ControlLimits, ControlRateLimit, Telemetry, Tenant, Transform, TransformOn,
};
pub use control_check::{header_pair, json_member};
pub use database::Database;
pub use error::{ConfigError, Problem};
pub use feed::Feed;
pub use guard::{Cmcd, Cmsd, Load, Prefetch, RateLimit};
pub use keyring::{Keys, RotateDays};
pub use mail::Mail;
pub use model::{
    Acme, AcmeChallenge, Cache, ClientAuth, Config, Data, Limits, Log, LogFormat, Media, Net,
    Objects, Ops, Packager, S3, SigningAlgorithm, SigningKey, Tls, TlsCertificate, TlsVersion,
};
pub use outbound::{Outbound, OutboundPeer};
pub use preset::{Addressing, Packaging, Preset, Protection};
pub use reload::Changes;
pub use secret::Secret;
pub use upstream::{Fetch, Shield, Upstream, UpstreamProtocol};
pub use value::{ByteCount, IpPrefix, Listen};
pub use vault::Vault;

use keys::Schema;
use tree::Tree;

/// What the names of variables begin with.
pub const VARIABLE_PREFIX: &str = "STREAMVERSE__";

/// Largest configuration file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The commented default file, which is the documentation of every key.
pub const DEFAULT_FILE: &str = include_str!("../../../config.default.toml");

/// Where values may come from, weakest first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub file: Option<SourceFile>,
    /// The environment. Names without [`VARIABLE_PREFIX`] serve `env:NAME` secrets only.
    pub variables: BTreeMap<String, String>,
    /// Dotted keys and values, from the command line.
    pub flags: Vec<(String, String)>,
    /// Whoever looks `vault:` secrets up; none refuses them.
    pub vault: Option<VaultReader>,
}

/// Looks up what lies in a Vault: for each reference (`PATH#FIELD`) its value, or why there is none.
pub type VaultReader = fn(&Vault, &[String]) -> BTreeMap<String, Result<String, String>>;

/// A configuration file that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub path: PathBuf,
    pub text: String,
}

/// Where the value of a key comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    Default,
    File { path: PathBuf, line: Option<u64> },
    Variable(String),
    Flag(String),
}

/// A configuration with the origin of each key that some source has set.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    origins: BTreeMap<String, Origin>,
}

impl Sources {
    /// The file at `path`, this process's environment, and `flags`.
    pub fn gather(path: Option<&Path>, flags: Vec<(String, String)>) -> Result<Self, ConfigError> {
        let file = path.map(SourceFile::read).transpose()?;
        // A name or value that is no UTF-8 can't be one of ours.
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(Self { file, variables, flags, vault: Some(crate::secrets::read_vault) })
    }
}

impl SourceFile {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let origin = || Origin::File { path: path.to_owned(), line: None };
        let fail = |error: std::io::Error| {
            let cure = "check the path given by --config and its permissions";
            ConfigError::one(origin(), None, format!("cannot be read: {error}"), cure)
        };
        let size = std::fs::metadata(path).map_err(fail)?.len();
        if FILE_BYTES_MAX < size {
            let cause = format!("has {size} bytes, at most {FILE_BYTES_MAX} are read");
            return Err(ConfigError::one(origin(), None, cause, "name a configuration file"));
        }
        let text = std::fs::read_to_string(path).map_err(fail)?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// Parses by the extension of the name.
    fn parse(&self) -> Result<Tree, ConfigError> {
        let origin = |line| Origin::File { path: self.path.clone(), line };
        let extension = self.path.extension().and_then(|extension| extension.to_str());
        let parsed = match extension {
            Some("toml") => Tree::parse_toml(&self.text),
            Some("yaml" | "yml") => Tree::parse_yaml(&self.text),
            _ => {
                let cause = "is of no known format".to_owned();
                let cure = "name it .toml, .yaml or .yml";
                return Err(ConfigError::one(origin(None), None, cause, cure));
            }
        };
        parsed.map_err(|error| {
            let cure = "correct the syntax there";
            ConfigError::one(origin(error.line), None, error.reason, cure)
        })
    }
}

impl Config {
    /// Merges the sources and checks the outcome.
    ///
    /// All unknown keys and all failed checks are reported at once; a value of the wrong kind is
    /// reported alone, since what follows from it would mislead.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let mut merge = Merge { schema: Schema::new(), ..Merge::default() };
        if let Some(file) = &sources.file {
            merge.file(file)?;
        }
        merge.variables(&sources.variables);
        merge.flags(&sources.flags);
        if !merge.problems.is_empty() {
            return Err(ConfigError { problems: merge.problems });
        }

        let mut config: Self = serde_path_to_error::deserialize(Value::Object(merge.values))
            .map_err(|error| {
                let key = error.path().to_string();
                let cause = error.inner().to_string();
                let cure = format!("see `{key}` in config.default.toml");
                ConfigError::one(origin_of(&merge.origins, &key), Some(&key), cause, &cure)
            })?;

        let mut problems = Vec::new();
        let variable = |name: &str| sources.variables.get(name).cloned();
        for (key, secret) in config.vault.secrets_mut() {
            if let Some(secret) = secret
                && let Err(cause) = secret.resolve_without_vault(variable)
            {
                let origin = origin_of(&merge.origins, key);
                problems.push(Problem { origin, key: Some(key.to_owned()), cause, cure: None });
            }
        }
        let in_vault = config.read_vault(sources.vault, problems.is_empty());
        let others = config.secrets_mut().into_iter().filter(|(key, _)| !key.starts_with("vault."));
        for (key, secret) in others {
            if let Err(cause) = secret.resolve(variable, &in_vault) {
                let origin = origin_of(&merge.origins, &key);
                problems.push(Problem { origin, key: Some(key), cause, cure: None });
            }
        }
        for failed in check::check(&config) {
            let origin = origin_of(&merge.origins, &failed.key);
            let cure = Some(failed.cure);
            problems.push(Problem { origin, key: Some(failed.key), cause: failed.cause, cure });
        }
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        Ok(Loaded { config, origins: merge.origins })
    }
}

impl Config {
    /// The values of all `vault:` secrets. Nobody is asked when it is known that we can't sign in.
    fn read_vault(
        &mut self,
        reader: Option<VaultReader>,
        can_sign_in: bool,
    ) -> BTreeMap<String, Result<String, String>> {
        let vault = self.vault.clone();
        let secrets = self.secrets_mut();
        let mut wanted: Vec<_> =
            secrets.iter().filter_map(|(_, secret)| secret.in_vault()).map(str::to_owned).collect();
        wanted.sort();
        wanted.dedup();
        match reader {
            Some(reader) if can_sign_in && !wanted.is_empty() => reader(&vault, &wanted),
            _ => BTreeMap::new(),
        }
    }

    /// Takes the values of those of `new`'s secrets that lie in a Vault and that this configuration
    /// has at the same place, and nothing else: the file may be in the middle of being edited.
    pub fn adopt_vault_secrets(&mut self, mut new: Self) {
        let read = new.secrets_mut();
        for (key, secret) in self.secrets_mut() {
            let found = read.iter().find(|(name, other)| *name == key && other.is_same(secret));
            if let Some((_, other)) = found.filter(|_| secret.in_vault().is_some()) {
                *secret = Secret::clone(other);
            }
        }
    }

    /// Whether a secret is looked up in a Vault.
    pub fn uses_vault(&self) -> bool {
        self.clone().secrets_mut().iter().any(|(_, secret)| secret.in_vault().is_some())
    }
}

impl Loaded {
    /// Where the value of a dotted key comes from.
    pub fn origin(&self, key: &str) -> Origin {
        origin_of(&self.origins, key)
    }
}

/// The origin of `key`, or of the innermost section or list above it that has one.
fn origin_of(origins: &BTreeMap<String, Origin>, key: &str) -> Origin {
    let mut key = key;
    loop {
        if let Some(origin) = origins.get(key) {
            return origin.clone();
        }
        let Some(end) = key.rfind(['.', '[']) else { return Origin::Default };
        key = &key[..end];
    }
}

/// The sources on their way to one tree.
#[derive(Default)]
struct Merge {
    schema: Schema,
    values: Map<String, Value>,
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
}

impl Merge {
    fn file(&mut self, file: &SourceFile) -> Result<(), ConfigError> {
        let tree = file.parse()?;
        let origin = |key: &str| Origin::File {
            path: file.path.clone(),
            line: tree.lines.get(key).copied(),
        };
        for unknown in self.schema.unknown_keys(&tree.values) {
            self.problems.push(Problem {
                origin: origin(&unknown.key),
                key: Some(unknown.key),
                cause: unknown.cause,
                cure: Some(unknown.cure),
            });
        }
        for key in tree.lines.keys() {
            self.origins.insert(key.clone(), origin(key));
        }
        self.values = tree.values;
        Ok(())
    }

    fn variables(&mut self, variables: &BTreeMap<String, String>) {
        for (name, text) in variables {
            if let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) {
                let key = rest.to_ascii_lowercase().replace("__", ".");
                self.text(&key, text, Origin::Variable(name.clone()));
            }
        }
    }

    fn flags(&mut self, flags: &[(String, String)]) {
        for (key, text) in flags {
            self.text(key, text, Origin::Flag(key.clone()));
        }
    }

    /// Sets `key` from text, read as the kind of value that the key takes.
    fn text(&mut self, key: &str, text: &str, origin: Origin) {
        match self.schema.read_text(key, text) {
            Ok(value) => {
                set(&mut self.values, key, value);
                self.origins.insert(key.to_owned(), origin);
            }
            Err(refused) => self.problems.push(Problem {
                origin,
                key: Some(key.to_owned()),
                cause: refused.cause,
                cure: Some(refused.cure),
            }),
        }
    }
}

/// Sets a dotted key that the schema knows, making the sections above it.
fn set(values: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            values.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let section = values.entry(section).or_insert_with(|| Value::Object(Map::new()));
            if !section.is_object() {
                *section = Value::Object(Map::new());
            }
            if let Value::Object(section) = section {
                set(section, rest, value);
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line: Some(line) } => write!(formatter, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(formatter, "{}", path.display()),
            Self::Variable(name) => write!(formatter, "variable {name}"),
            Self::Flag(key) => write!(formatter, "command line, {key}"),
        }
    }
}
