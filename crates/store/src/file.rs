//! The files of a database: who may read them, and who may write them.
//!
//! Invariant: while a [`FileLock`] exists, no other one does for the same path, in this process or
//! another; the operating system releases it when the process ends, however it ends.

use std::{
    ffi::OsString,
    fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::StoreError;

/// Only the owner reads and writes the files: they hold unrevealed results.
const FILE_MODE: u32 = 0o600;
/// Only the owner enters a folder that the store makes.
const FOLDER_MODE: u32 = 0o700;

/// The right to write to a database.
#[derive(Debug)]
pub(crate) struct FileLock {
    /// Open, hence locked.
    _file: File,
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(".lock");
    name.into()
}

fn owner_only(path: &Path) -> Result<File, StoreError> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path);
    let file = opened.map_err(StoreError::io("open", path))?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))
        .map_err(StoreError::io("set the mode of", path))?;
    Ok(file)
}

/// Makes the folder and the file if they are not there, closes the file to others and locks it.
/// SQLite gives its own side files the mode of the database. A folder that exists is left as it is:
/// it may be shared.
pub(crate) fn prepare(database: &Path) -> Result<FileLock, StoreError> {
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(StoreError::io("make the folder", folder))?;
    let path = lock_path(database);
    let file = owner_only(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path }),
        Err(TryLockError::Error(source)) => return Err(StoreError::io("lock", &path)(source)),
    }
    owner_only(database)?;
    // A new file is durable only once its name in the folder is.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(StoreError::io("sync", folder))?;
    Ok(FileLock { _file: file })
}
