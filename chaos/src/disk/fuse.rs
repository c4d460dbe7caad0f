//! The volume as a FUSE file system: each call becomes one call of the volume, and its answer.
//!
//! The kernel's page cache is written through, so that a write is the volume's before the caller goes
//! on; reads and `mmap` go through the cache, and locks are the kernel's own.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};

use super::names::Ino;
use super::power::{Dark, Power};
use super::volume::{Refused, Status, Volume};

/// Names and attributes change through the kernel alone, so it may remember them.
const REMEMBERED: Duration = Duration::from_secs(3600);
const BLOCK_BYTES: u32 = 4096;
const WRITE_BYTES: u32 = 1 << 20;
/// What `statfs` tells, where nothing else is said.
const ROOM_BYTES: u64 = 1 << 40;

pub(super) struct Fuse {
    pub(super) power: Arc<Power>,
}

impl Fuse {
    /// Makes a change that concerns `path`, unless the power is off.
    fn change<T>(
        &self,
        path: impl Fn(&Volume) -> PathBuf,
        change: impl FnOnce(&mut Volume) -> Result<T, Refused>,
    ) -> Result<T, Errno> {
        let mut state = self.power.step(path)?;
        Ok(change(&mut state.volume)?)
    }
}

impl Filesystem for Fuse {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let set = config.set_max_write(WRITE_BYTES);
        set.map(drop).map_err(|_| io::Error::other("the kernel takes no writes of 1 MiB"))
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.power.look().volume.find(ino(parent), name).map_err(Errno::from));
    }

    fn getattr(&self, _: &Request, of: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        attributes(reply, self.power.look().volume.status(ino(of)).map_err(Errno::from));
    }

    fn setattr(
        &self,
        _: &Request,
        of: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let of = ino(of);
        // Modes and times are nobody's concern here.
        let Some(size) = size else {
            return attributes(reply, self.power.look().volume.status(of).map_err(Errno::from));
        };
        let changed = self.change(
            |volume| volume.path(of),
            |volume| {
                volume.body_mut(of)?.set_len(size as usize);
                volume.status(of)
            },
        );
        attributes(reply, changed);
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let parent = ino(parent);
        let path = |volume: &Volume| volume.path(parent).join(name);
        entry(reply, self.change(path, |volume| volume.make(parent, name, true)));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let parent = ino(parent);
        let path = |volume: &Volume| volume.path(parent).join(name);
        empty(reply, self.change(path, |volume| volume.remove(parent, name, false)));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let parent = ino(parent);
        let path = |volume: &Volume| volume.path(parent).join(name);
        empty(reply, self.change(path, |volume| volume.remove(parent, name, true)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let (from, to) = (ino(parent), ino(new_parent));
        let path = |volume: &Volume| volume.path(to).join(new_name);
        empty(reply, self.change(path, |volume| volume.rename((from, name), (to, new_name))));
    }

    fn link(
        &self,
        _: &Request,
        of: INodeNo,
        new_parent: INodeNo,
        new_name: &OsStr,
        reply: ReplyEntry,
    ) {
        let (of, to) = (ino(of), ino(new_parent));
        let path = |volume: &Volume| volume.path(to).join(new_name);
        entry(reply, self.change(path, |volume| volume.link(of, to, new_name)));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let parent = ino(parent);
        let path = |volume: &Volume| volume.path(parent).join(name);
        let made = self.change(path, |volume| {
            let made = volume.make(parent, name, false)?;
            volume.open(made.ino)?;
            Ok(made)
        });
        match made {
            Ok(made) => {
                let (handle, flags) = (FileHandle(made.ino.0), FopenFlags::FOPEN_KEEP_CACHE);
                reply.created(&REMEMBERED, &attr(made), Generation(0), handle, flags);
            }
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, of: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.power.look().volume.open(ino(of)) {
            Ok(()) => reply.opened(FileHandle(of.0), FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error.into()),
        }
    }

    fn read(
        &self,
        _: &Request,
        of: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.power.look().volume.body(ino(of)) {
            Ok(body) => reply.data(body.read(offset as usize, size as usize)),
            Err(error) => reply.error(error.into()),
        }
    }

    fn write(
        &self,
        _: &Request,
        of: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let of = ino(of);
        let mut state = match self.power.step(|volume| volume.path(of)) {
            Ok(state) => state,
            Err(Dark) => return reply.error(Errno::EIO),
        };
        state.seen.writes += 1;
        if !state.faults.take_room(data.len()) {
            state.seen.refused_writes += 1;
            return reply.error(Errno::ENOSPC);
        }
        match state.volume.body_mut(of) {
            Ok(body) => {
                body.write(offset as usize, data);
                reply.written(data.len() as u32);
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        of: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.power.look().volume.close(ino(of));
        reply.ok();
    }

    fn fsync(&self, _: &Request, of: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let of = ino(of);
        self.wait_as_a_disk_does();
        match self.power.step(|volume| volume.path(of)) {
            Ok(mut state) => match state.sync(of) {
                Ok(()) => reply.ok(),
                Err(_) => reply.error(Errno::EIO),
            },
            Err(Dark) => reply.error(Errno::EIO),
        }
    }

    fn fsyncdir(&self, _: &Request, of: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let of = ino(of);
        self.wait_as_a_disk_does();
        match self.power.step(|volume| volume.path(of)) {
            Ok(mut state) => {
                state.sync_folder(of);
                reply.ok();
            }
            Err(Dark) => reply.error(Errno::EIO),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        of: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let state = self.power.look();
        let list = state.volume.list(ino(of));
        drop(state);
        // An entry's offset is its inode's: names that go while a folder is read move no other.
        let mut entries: Vec<_> = list.into_iter().map(|(name, found)| (found, name)).collect();
        entries.sort_unstable_by_key(|(found, _)| found.ino);
        for (found, name) in entries.into_iter().filter(|(found, _)| found.ino.0 > offset) {
            if reply.add(INodeNo(found.ino.0), found.ino.0, kind(found), name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let room = self.power.look().faults.room_bytes.unwrap_or(ROOM_BYTES);
        let (all, free) = (ROOM_BYTES, room / u64::from(BLOCK_BYTES));
        let blocks = all / u64::from(BLOCK_BYTES);
        reply.statfs(blocks, free, free, 1 << 20, 1 << 20, BLOCK_BYTES, 255, BLOCK_BYTES);
    }

    fn fallocate(
        &self,
        _: &Request,
        of: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        const KEEP_SIZE: i32 = 1;
        let of = ino(of);
        match mode {
            KEEP_SIZE => reply.ok(),
            0 => empty(
                reply,
                self.change(
                    |volume| volume.path(of),
                    |volume| {
                        let body = volume.body_mut(of)?;
                        let end = (offset + length) as usize;
                        if end > body.len() {
                            body.set_len(end);
                        }
                        Ok(())
                    },
                ),
            ),
            _ => reply.error(Errno::EOPNOTSUPP),
        }
    }
}

impl Fuse {
    fn wait_as_a_disk_does(&self) {
        let mut state = self.power.look();
        let latency = state.faults.clone().draw_latency(&mut state.rng);
        drop(state);
        std::thread::sleep(latency);
    }
}

impl From<Refused> for Errno {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Absent => Errno::ENOENT,
            Refused::Taken => Errno::EEXIST,
            Refused::NotEmpty => Errno::ENOTEMPTY,
            Refused::IsFolder => Errno::EISDIR,
            Refused::NotFolder => Errno::ENOTDIR,
        }
    }
}

impl From<Dark> for Errno {
    fn from(_: Dark) -> Self {
        Errno::EIO
    }
}

fn ino(number: INodeNo) -> Ino {
    Ino(number.0)
}

fn kind(status: Status) -> FileType {
    if status.is_folder { FileType::Directory } else { FileType::RegularFile }
}

fn attr(status: Status) -> FileAttr {
    let time = SystemTime::UNIX_EPOCH;
    FileAttr {
        ino: INodeNo(status.ino.0),
        size: status.len as u64,
        blocks: (status.len as u64).div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: kind(status),
        perm: if status.is_folder { 0o700 } else { 0o600 },
        nlink: status.links as u32,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

fn entry(reply: ReplyEntry, answer: Result<Status, Errno>) {
    match answer {
        Ok(status) => reply.entry(&REMEMBERED, &attr(status), Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn attributes(reply: ReplyAttr, answer: Result<Status, Errno>) {
    match answer {
        Ok(status) => reply.attr(&REMEMBERED, &attr(status)),
        Err(error) => reply.error(error),
    }
}

fn empty(reply: ReplyEmpty, answer: Result<(), Errno>) {
    match answer {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}
