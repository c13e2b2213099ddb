// SPDX-License-Identifier: MIT
//! Listening at a name.
//!
//! A socket takes its name when it can be connected to: it is bound as `.NAME.new` beside it,
//! listens, and is renamed. One at a time does that, by a lock on `.NAME.lock`, which nobody can
//! have but who may write the directory, and this user. Both files are gone afterwards; what a crash
//! leaves of them is in nobody's way. Listeners in C++ do the same.

use super::place::{Place, LONGEST_NAME};
use super::socket;
use crate::error::{Error, Result};
use crate::process::Birthmark;
use crate::time::Deadline;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A socket that listens, and its file if it has one.
pub(super) struct Named {
    pub(super) socket: OwnedFd,
    pub(super) file: Option<SocketFile>,
}

pub(super) fn listen_at(place: &Place, mode: u32) -> Result<Named> {
    if place.is_abstract() {
        let socket = bind(place, mode)?;
        start_listening(&socket)?;
        return Ok(Named { socket, file: None });
    }
    let path = place.path();
    let _lock = NameLock::new(companion_of(path, ".lock"))?;
    let is_stale = has_stale_socket(place)?;
    let fresh = FreshPlace::beside(path)?;
    let _ = fs::remove_file(&fresh.path); // of one that crashed
    let socket = bind(&fresh.address, mode)?;
    let mut file = SocketFile::new(fresh.path)?;
    if mode != 0o600 {
        // What the umask took away from others is given back.
        fs::set_permissions(&file.path, Permissions::from_mode(mode))?;
    }
    start_listening(&socket)?;
    file.rename(path, is_stale)?;
    let file = Some(file);
    Ok(Named { socket, file })
}

fn bind(place: &Place, mode: u32) -> io::Result<OwnedFd> {
    let socket = socket::new()?;
    socket::set_mode(&socket, mode);
    socket::bind(&socket, place)?;
    Ok(socket)
}

fn start_listening(socket: &OwnedFd) -> io::Result<()> {
    socket::let_descriptors_in(socket, false);
    socket::listen(socket)
}

// ---- files ----

/// A socket's file, removed with its last owner: by the process that made it, and if it is still
/// this one that lies there.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    birth: Birthmark,
}

impl SocketFile {
    fn new(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            identity: identity_of(&fs::symlink_metadata(&path)?),
            birth: Birthmark::new()?,
            path,
        })
    }

    fn rename(&mut self, path: &Path, replace: bool) -> io::Result<()> {
        let done = if replace {
            fs::rename(&self.path, path)
        } else {
            match socket::rename_to_new(&self.path, path) {
                // Not every file system has that. Then what another program made a moment ago is
                // lost.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    fs::rename(&self.path, path)
                }
                done => done,
            }
        };
        if done.is_ok() {
            self.path = path.to_owned();
        }
        done
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_there = || {
            fs::symlink_metadata(&self.path).map_or(false, |now| identity_of(&now) == self.identity)
        };
        if self.birth.is_here() && is_there() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// With its slash; where the path has none, this one.
pub(super) fn directory_of(path: &Path) -> &Path {
    let (directory, _) = split(path);
    Path::new(match directory {
        b"" => OsStr::new("."),
        directory => OsStr::from_bytes(directory),
    })
}

// Beside it, hidden.
fn companion_of(path: &Path, ending: &str) -> PathBuf {
    let (directory, name) = split(path);
    let mut companion = OsString::from_vec([directory, b".", name].concat());
    companion.push(ending);
    companion.into()
}

// The directory, to its last slash, and the name in it.
fn split(path: &Path) -> (&[u8], &[u8]) {
    let path = path.as_os_str().as_bytes();
    let end = path.iter().rposition(|byte| *byte == b'/');
    path.split_at(end.map_or(0, |slash| slash + 1))
}

/// Where a socket is bound before it has its name.
struct FreshPlace {
    path: PathBuf,
    address: Place,
    _directory: Option<File>, // what the address goes by
}

impl FreshPlace {
    fn beside(path: &Path) -> Result<Self> {
        let companion = companion_of(path, ".new");
        if companion.as_os_str().len() <= LONGEST_NAME {
            return Ok(Self {
                address: Place::at(companion.clone().into_os_string().into_vec())?,
                path: companion,
                _directory: None,
            });
        }
        // A path that fits into an address just so. What is opened has a short one.
        let (directory, name) = split(path);
        let directory = Path::new(OsStr::from_bytes(directory));
        let file = format!(".{:016x}.new", hash(name));
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(directory)?;
        let address = format!("/proc/self/fd/{}/{file}", opened.as_raw_fd());
        Ok(Self {
            path: directory.join(file),
            address: Place::at(address.into_bytes())?,
            _directory: Some(opened),
        })
    }
}

// FNV-1a, as in C++.
fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |value, byte| {
        (value ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

// ---- one at a time ----

/// A file that is locked and still has its name. Removed at the end, while it is locked.
struct NameLock {
    path: PathBuf,
    _file: File,
}

impl NameLock {
    fn new(path: PathBuf) -> Result<Self> {
        let end = Deadline::after(Some(Duration::from_secs(2)));
        loop {
            if let Some(file) = Self::try_lock(&path)? {
                return Ok(Self { path, _file: file });
            }
            let a_moment = end.left(Duration::from_millis(1)).ok_or(Error::Again)?;
            std::thread::sleep(a_moment);
        }
    }

    fn try_lock(path: &Path) -> io::Result<Option<File>> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)?;
        if !socket::try_lock(&file)? {
            return Ok(None);
        }
        let locked = identity_of(&file.metadata()?);
        let named = fs::symlink_metadata(path).map(|named| identity_of(&named));
        Ok(matches!(named, Ok(named) if named == locked).then(|| file))
    }
}

impl Drop for NameLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

// ---- who had the name ----

// Whether a socket lies there that nobody listens at; else nothing does, or this is an error.
fn has_stale_socket(place: &Place) -> Result<bool> {
    let found = match fs::symlink_metadata(place.path()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        found => found?,
    };
    if !found.file_type().is_socket() {
        let why = format!("{} exists and is not a socket", place.name());
        return Err(Error::Refused(why));
    }
    check_stale(place)?;
    Ok(true)
}

// An error unless nobody listens there.
fn check_stale(place: &Place) -> Result<()> {
    let error = match socket::connect(&socket::new()?, place) {
        Ok(()) => io::Error::from_raw_os_error(libc::EADDRINUSE),
        Err(error) => error,
    };
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED | libc::ENOENT) => Ok(()),
        // Its queue is full.
        Some(libc::EAGAIN) => Err(io::Error::from_raw_os_error(libc::EADDRINUSE).into()),
        _ => Err(error.into()), // EPROTOTYPE: of another program
    }
}
