//! The fields of a line of text: what [`DefaultFields`] writes, at less cost for plain values.
//!
//! An access log line has a dozen of them. The general way formats each name, the sign behind it and
//! each value through styles that a file has no use for, and looks at every letter of a text.

use std::error::Error;
use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{MakeVisitor, VisitFmt, VisitOutput};
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

#[cfg(doc)]
use tracing_subscriber::fmt::format::DefaultFields;

/// Writes fields as text.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogFields;

/// Writes the fields of one event.
#[derive(Debug)]
pub(super) struct FieldWriter<'a> {
    writer: Writer<'a>,
    is_empty: bool,
    result: fmt::Result,
}

impl<'a> MakeVisitor<Writer<'a>> for LogFields {
    type Visitor = FieldWriter<'a>;

    fn make_visitor(&self, writer: Writer<'a>) -> FieldWriter<'a> {
        FieldWriter { writer, is_empty: true, result: Ok(()) }
    }
}

impl FieldWriter<'_> {
    /// Has the general way write a field.
    fn delegate(&mut self, record: impl FnOnce(&mut DefaultVisitor<'_>)) {
        if self.result.is_err() {
            return;
        }
        let mut visitor = DefaultVisitor::new(self.writer.by_ref(), self.is_empty);
        record(&mut visitor);
        self.result = visitor.finish();
        self.is_empty = false;
    }

    /// Writes a name and what makes the value; false where the general way has to.
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) -> bool {
        let name = field.name();
        if self.writer.has_ansi_escapes() || name == "message" || name.starts_with("r#") {
            return false;
        }
        if self.result.is_ok() {
            let pad = if self.is_empty { "" } else { " " };
            self.result = [pad, name, "="]
                .into_iter()
                .try_for_each(|text| self.writer.write_str(text))
                .and_then(|()| value(&mut self.writer));
            self.is_empty = false;
        }
        true
    }
}

impl Visit for FieldWriter<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let quote = |writer: &mut Writer<'_>| {
            ["\"", value, "\""].into_iter().try_for_each(|text| writer.write_str(text))
        };
        if !(is_plain(value) && self.write(field, quote)) {
            self.delegate(|visitor| visitor.record_str(field, value));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if !self.write(field, |writer| write!(writer, "{value}")) {
            self.delegate(|visitor| visitor.record_u64(field, value));
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if !self.write(field, |writer| write!(writer, "{value:?}")) {
            self.delegate(|visitor| visitor.record_f64(field, value));
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        let text = if value { "true" } else { "false" };
        if !self.write(field, |writer| writer.write_str(text)) {
            self.delegate(|visitor| visitor.record_bool(field, value));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.delegate(|visitor| visitor.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.delegate(|visitor| visitor.record_debug(field, value));
    }
}

/// Whether a text in quotes reads as `Debug` writes it.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

impl VisitOutput<fmt::Result> for FieldWriter<'_> {
    fn finish(self) -> fmt::Result {
        self.result
    }
}

impl VisitFmt for FieldWriter<'_> {
    fn writer(&mut self) -> &mut dyn fmt::Write {
        &mut self.writer
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::FormatFields;
    use tracing_subscriber::fmt::format::DefaultFields;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a subscriber with these fields writes.
    fn lines<F>(fields: F, with_ansi: bool) -> String
    where
        F: for<'a> FormatFields<'a> + Send + Sync + 'static,
    {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .fmt_fields(fields)
            .with_ansi(with_ansi)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let error = io::Error::other("a \"cause\"\n");
            let error: &(dyn Error + 'static) = &error;
            tracing::info!(target: "access", id = "a", path = "/é\\\"x\u{1b}[31m\n\u{7f}", none = None::<&str>,
                client = tracing::field::display("::1"), bytes = 12_u64, ms = 0.25, whole = true, n = -3, "told");
            tracing::info!(
                r#type = "x",
                some = Some(""),
                f = 1.0,
                tiny = 1e-9,
                ?error,
                error,
                "x {}",
                1
            );
            tracing::warn!(message = "alone");
            tracing::warn!(only = 7_u64);
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_read_as_the_general_way_writes_them() {
        for with_ansi in [false, true] {
            let general = lines(DefaultFields::new(), with_ansi);
            assert_eq!(lines(LogFields, with_ansi), general);
            assert!(general.contains("told") && general.lines().count() >= 4, "{general}");
        }
    }
}
