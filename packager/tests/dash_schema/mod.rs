//! Validation against the MPD schema with `xmllint`.
//!
//! The schema of ISO/IEC 23009-1 is not ours to ship. `STREAMVERSE_DASH_XSD` names the file
//! `DASH-MPD.xsd` of the MPEG DASH schema repository; without it only well-formedness and the
//! independent parser are checked. The schema imports that of XLink from the network: a catalog
//! points the import at the few attributes that it uses.

#![allow(unreachable_pub, reason = "shared by test binaries")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const XLINK: &str = r#"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"
  targetNamespace="http://www.w3.org/1999/xlink">
  <xs:attribute name="href" type="xs:anyURI"/>
  <xs:attribute name="type" type="xs:string"/>
  <xs:attribute name="show" type="xs:string"/>
  <xs:attribute name="actuate" type="xs:string"/>
</xs:schema>"#;

#[track_caller]
pub fn check_valid(manifest: &str) {
    let Some(schema) = std::env::var_os("STREAMVERSE_DASH_XSD") else { return };
    let mut child = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema"])
        .arg(schema)
        .arg("-")
        .env("XML_CATALOG_FILES", catalog())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xmllint is installed where a schema is named");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(manifest.as_bytes()).expect("xmllint reads all");
    drop(stdin);
    let output = child.wait_with_output().expect("xmllint ends");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}\n{manifest}");
}

/// An XML catalog beside the schema of XLink, written once for the process.
fn catalog() -> &'static Path {
    static CATALOG: OnceLock<PathBuf> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = folder.join(format!("dash-schema-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let (xlink, catalog) = (folder.join("xlink.xsd"), folder.join("catalog.xml"));
        let entry = format!(
            r#"<catalog xmlns="urn:oasis:names:tc:entity:xmlns:xml:catalog">
  <system systemId="http://www.w3.org/XML/2008/06/xlink.xsd" uri="{0}"/>
  <uri name="http://www.w3.org/XML/2008/06/xlink.xsd" uri="{0}"/>
</catalog>"#,
            xlink.display()
        );
        write(&xlink, XLINK);
        write(&catalog, &entry);
        catalog
    })
}

#[allow(clippy::disallowed_methods, reason = "a test may write temporary files")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the temporary folder can be written");
}
