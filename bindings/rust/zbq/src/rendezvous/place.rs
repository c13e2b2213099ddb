// SPDX-License-Identifier: MIT
//! Where a name's socket lies.

use super::identity::Nobody;
use super::socket::user;
use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::mem::{size_of, MaybeUninit};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// An address to bind or connect to.
pub(super) struct Place {
    text: Vec<u8>, // the path, or @ and the abstract name
    address: libc::sockaddr_un,
    size: libc::socklen_t,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Directory {
    /// A listener makes the private directory.
    Create,
    /// Who connects does not.
    Look,
}

/// Of a path, in bytes: an address ends it with a zero.
pub(super) const LONGEST_NAME: usize = 107;
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;

impl Place {
    pub(super) fn of(name: &OsStr, directory: Directory) -> Result<Self> {
        let name = name.as_bytes();
        check_name(name)?;
        let is_address = name[0] == b'@' || name.contains(&b'/');
        let text = if is_address {
            name.to_vec()
        } else {
            let path = private_directory(directory)?.join(OsStr::from_bytes(name));
            path.into_os_string().into_vec()
        };
        Self::at(text)
    }

    // A path ends with a zero; an abstract name begins with one, in the place of the @.
    pub(super) fn at(text: Vec<u8>) -> Result<Self> {
        // SAFETY: an address may be all zero.
        let mut address: libc::sockaddr_un = unsafe { MaybeUninit::zeroed().assume_init() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        let is_abstract = text[0] == b'@';
        let most = LONGEST_NAME + usize::from(is_abstract);
        if text.len() > most {
            return Err(Error::TooLarge);
        }
        for (to, from) in address.sun_path.iter_mut().zip(&text) {
            *to = *from as libc::c_char;
        }
        let whole = size_of::<libc::sockaddr_un>();
        let mut size = whole;
        if is_abstract {
            address.sun_path[0] = 0;
            size = whole - address.sun_path.len() + text.len();
        }
        Ok(Self {
            text,
            address,
            size: size as libc::socklen_t,
        })
    }

    pub(super) fn is_abstract(&self) -> bool {
        self.text[0] == b'@'
    }

    /// Of one that is not abstract.
    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.text))
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    pub(super) fn address(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        (
            (&self.address as *const libc::sockaddr_un).cast(),
            self.size,
        )
    }
}

fn check_name(name: &[u8]) -> Result<()> {
    let bad =
        matches!(name, b"" | b"." | b".." | b"@") || name.ends_with(b"/") || name.contains(&0);
    if bad {
        Err(Error::Invalid)
    } else {
        Ok(())
    }
}

fn private_directory(directory: Directory) -> Result<PathBuf> {
    let path = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) if !runtime.is_empty() => session_directory(Path::new(&runtime))?,
        _ => default_directory(),
    };
    if directory == Directory::Create {
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => (),
        }
    }
    if directory == Directory::Create || fs::symlink_metadata(&path).is_ok() {
        check_private(&path)?;
    }
    Ok(path)
}

// What XDG_RUNTIME_DIR says, checked.
fn session_directory(runtime: &Path) -> Result<PathBuf> {
    let refused = |why| {
        let runtime = runtime.display();
        Err(Error::Refused(format!("XDG_RUNTIME_DIR, {runtime}, {why}")))
    };
    if !runtime.is_absolute() {
        return refused("is not an absolute path");
    }
    let metadata = fs::metadata(runtime)?;
    if !is_own_directory(&metadata) {
        return refused("is not a directory of this user");
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        return refused("can be written by others");
    }
    Ok(runtime.join("zbq"))
}

// Without a session: the user's runtime directory if there is one, else a place in /tmp.
fn default_directory() -> PathBuf {
    let runtime = PathBuf::from(format!("/run/user/{}", user()));
    match fs::metadata(&runtime) {
        Ok(metadata) if is_own_directory(&metadata) && metadata.mode() & OTHERS_WRITE == 0 => {
            runtime.join("zbq")
        }
        _ => PathBuf::from(format!("/tmp/zbq-{}", user())),
    }
}

// A real directory of ours that nobody else can even look into: in /tmp anyone may have made the
// name first.
fn check_private(path: &Path) -> Result<()> {
    let named = fs::symlink_metadata(path)?;
    let opened = fs::File::options()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(path)?
        .metadata()?;
    let refused = |why| Err(Error::Refused(format!("{} {why}", path.display())));
    if (named.ino(), named.dev()) != (opened.ino(), opened.dev()) || !is_own_directory(&opened) {
        return refused("is not a directory of this user");
    }
    if opened.mode() & OTHERS != 0 {
        return refused("is open to others; it must have mode 700");
    }
    Ok(())
}

fn is_own_directory(metadata: &Metadata) -> bool {
    metadata.is_dir() && Nobody::ask().is_own_user(metadata.uid())
}
