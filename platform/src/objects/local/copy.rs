//! Copying a file into the store: by sharing its blocks, in the kernel, or by hand.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{copy_file_range, ioctl_ficlone};
use rustix::io::Errno;

use super::super::{ObjectError, ObjectKey};
use super::meta_of;

/// Bytes that the kernel copies in one call.
const COPY_BYTES: usize = 1 << 30;

/// Copies `source` into the empty `target`, and makes sure that it did not change meanwhile.
pub(super) fn copy_sealed(
    key: &ObjectKey,
    source: &Path,
    target: &mut File,
    target_path: &Path,
) -> Result<(), ObjectError> {
    let fail = |error: io::Error| ObjectError::io("read", source, error);
    let mut file = File::open(source).map_err(fail)?;
    let before = file.metadata().map_err(fail)?;
    if !before.is_file() {
        return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")));
    }
    copy(&mut file, target).map_err(|error| ObjectError::io("copy to", target_path, error))?;

    let after = file.metadata().map_err(fail)?;
    let copied_bytes = target.metadata().map_err(fail)?.len();
    let difference = meta_of(&before).version.difference(&meta_of(&after).version);
    if difference.is_some() || copied_bytes != before.len() {
        let source = source.display();
        let reason = format!("{source} changed while it was copied");
        return Err(ObjectError::Changed { key: key.clone(), reason });
    }
    Ok(())
}

fn copy(source: &mut File, target: &mut File) -> io::Result<()> {
    // FICLONE (ioctl_ficlonerange(2)) shares the blocks, where both lie on one file system that
    // can: XFS, Btrfs, bcachefs.
    if ioctl_ficlone(&*target, &*source).is_ok() {
        return Ok(());
    }
    loop {
        match copy_file_range(&*source, None, &*target, None, COPY_BYTES) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            // Not between these two: by hand, from where both files stand.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return io::copy(source, target).map(drop);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
