//! The functions that every descriptor has, and those of files.

use wasmtime_wasi::{
    I32Exit,
    p1::{
        types::{self, Errno, Error, Fd},
        wasi_snapshot_preview1::WasiSnapshotPreview1,
    },
};
use wiggle::{GuestMemory, GuestPtr};

use super::{Preview1, Target, first_area, total, waiting::beside};

/// What is wasmtime's matter: a descriptor comes first, then the rest.
macro_rules! passed_on {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(async fn $name(
            &mut self,
            memory: &mut GuestMemory<'_>,
            descriptor: Fd,
            $($argument: $kind),*
        ) -> Result<$result, Error> {
            let descriptor = self.descriptors.wasi(descriptor)?;
            self.wasi.$name(memory, descriptor, $($argument),*).await
        })*
    };
}

/// As [`passed_on`], for functions that never wait.
macro_rules! passed_on_at_once {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(fn $name(
            &mut self,
            memory: &mut GuestMemory<'_>,
            descriptor: Fd,
            $($argument: $kind),*
        ) -> Result<$result, Error> {
            let descriptor = self.descriptors.wasi(descriptor)?;
            self.wasi.$name(memory, descriptor, $($argument),*)
        })*
    };
}

/// As [`passed_on_at_once`], for functions that have nothing to do with descriptors.
macro_rules! without_descriptor {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(fn $name(
            &mut self,
            memory: &mut GuestMemory<'_>,
            $($argument: $kind),*
        ) -> Result<$result, Error> {
            self.wasi.$name(memory, $($argument),*)
        })*
    };
}

impl WasiSnapshotPreview1 for Preview1 {
    fn set_hostcall_fuel(&mut self, fuel: usize) {
        self.wasi.set_hostcall_fuel(fuel);
    }

    without_descriptor! {
        args_get(argv: GuestPtr<GuestPtr<u8>>, buffer: GuestPtr<u8>) -> ();
        args_sizes_get() -> (types::Size, types::Size);
        environ_get(environ: GuestPtr<GuestPtr<u8>>, buffer: GuestPtr<u8>) -> ();
        environ_sizes_get() -> (types::Size, types::Size);
        clock_res_get(id: types::Clockid) -> types::Timestamp;
        clock_time_get(id: types::Clockid, precision: types::Timestamp) -> types::Timestamp;
        proc_raise(signal: types::Signal) -> ();
        sched_yield() -> ();
        random_get(buffer: GuestPtr<u8>, length: types::Size) -> ();
    }

    passed_on! {
        fd_advise(offset: types::Filesize, length: types::Filesize, advice: types::Advice) -> ();
        fd_datasync() -> ();
        fd_filestat_set_size(size: types::Filesize) -> ();
        fd_filestat_set_times(
            accessed: types::Timestamp,
            modified: types::Timestamp,
            flags: types::Fstflags
        ) -> ();
        fd_pread(areas: types::IovecArray, offset: types::Filesize) -> types::Size;
        fd_pwrite(areas: types::CiovecArray, offset: types::Filesize) -> types::Size;
        fd_seek(offset: types::Filedelta, whence: types::Whence) -> types::Filesize;
        fd_sync() -> ();
        fd_readdir(
            buffer: GuestPtr<u8>,
            length: types::Size,
            cookie: types::Dircookie
        ) -> types::Size;
        path_create_directory(path: GuestPtr<str>) -> ();
        path_filestat_get(flags: types::Lookupflags, path: GuestPtr<str>) -> types::Filestat;
        path_filestat_set_times(
            flags: types::Lookupflags,
            path: GuestPtr<str>,
            accessed: types::Timestamp,
            modified: types::Timestamp,
            times: types::Fstflags
        ) -> ();
        path_readlink(
            path: GuestPtr<str>,
            buffer: GuestPtr<u8>,
            length: types::Size
        ) -> types::Size;
        path_remove_directory(path: GuestPtr<str>) -> ();
        path_unlink_file(path: GuestPtr<str>) -> ();
    }

    passed_on_at_once! {
        fd_allocate(offset: types::Filesize, length: types::Filesize) -> ();
        fd_fdstat_set_rights(base: types::Rights, inheriting: types::Rights) -> ();
        fd_prestat_get() -> types::Prestat;
        fd_prestat_dir_name(path: GuestPtr<u8>, length: types::Size) -> ();
        fd_tell() -> types::Filesize;
        // Of sockets, for which `sockets` has others.
        sock_accept(flags: types::Fdflags) -> Fd;
        sock_recv(
            areas: types::IovecArray,
            flags: types::Riflags
        ) -> (types::Size, types::Roflags);
        sock_send(areas: types::CiovecArray, flags: types::Siflags) -> types::Size;
        sock_shutdown(how: types::Sdflags) -> ();
    }

    async fn fd_close(
        &mut self,
        memory: &mut GuestMemory<'_>,
        descriptor: Fd,
    ) -> Result<(), Error> {
        let removed = self.descriptors.remove(descriptor)?;
        self.let_go(memory, removed).await
    }

    async fn fd_renumber(
        &mut self,
        memory: &mut GuestMemory<'_>,
        from: Fd,
        to: Fd,
    ) -> Result<(), Error> {
        if self.descriptors.get(from)?.is_none() {
            return self.wasi.fd_renumber(memory, from, to).await;
        }
        let replaced = self.descriptors.renumber(from, to)?;
        self.let_go(memory, replaced).await
    }

    async fn fd_fdstat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        descriptor: Fd,
    ) -> Result<types::Fdstat, Error> {
        let rights = types::Rights::FD_READ
            | types::Rights::FD_WRITE
            | types::Rights::FD_FDSTAT_SET_FLAGS
            | types::Rights::POLL_FD_READWRITE
            | types::Rights::SOCK_SHUTDOWN;
        let (fs_filetype, blocking) = match self.descriptors.get(descriptor)? {
            None | Some(Target::Stdin | Target::Wasi(_)) => {
                let descriptor = self.descriptors.wasi(descriptor)?;
                return self.wasi.fd_fdstat_get(memory, descriptor).await;
            }
            Some(Target::Null) => (types::Filetype::CharacterDevice, true),
            Some(Target::Listener(listener)) => {
                (types::Filetype::SocketStream, listener.is_blocking())
            }
            Some(Target::Connection(connection)) => {
                (types::Filetype::SocketStream, connection.is_blocking())
            }
        };
        Ok(types::Fdstat {
            fs_filetype,
            fs_flags: if blocking {
                types::Fdflags::empty()
            } else {
                types::Fdflags::NONBLOCK
            },
            fs_rights_base: rights,
            fs_rights_inheriting: rights,
        })
    }

    fn fd_fdstat_set_flags(
        &mut self,
        memory: &mut GuestMemory<'_>,
        descriptor: Fd,
        flags: types::Fdflags,
    ) -> Result<(), Error> {
        let blocking = !flags.contains(types::Fdflags::NONBLOCK);
        match self.descriptors.get(descriptor)? {
            None | Some(Target::Stdin | Target::Wasi(_)) => {
                let descriptor = self.descriptors.wasi(descriptor)?;
                return self.wasi.fd_fdstat_set_flags(memory, descriptor, flags);
            }
            Some(Target::Null) => {}
            Some(Target::Listener(listener)) => listener.set_blocking(blocking),
            Some(Target::Connection(connection)) => connection.set_blocking(blocking),
        }
        Ok(())
    }

    async fn fd_filestat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        descriptor: Fd,
    ) -> Result<types::Filestat, Error> {
        let filetype = match self.descriptors.get(descriptor)? {
            None | Some(Target::Stdin | Target::Wasi(_)) => {
                let descriptor = self.descriptors.wasi(descriptor)?;
                return self.wasi.fd_filestat_get(memory, descriptor).await;
            }
            Some(Target::Null) => types::Filetype::CharacterDevice,
            Some(Target::Listener(_) | Target::Connection(_)) => types::Filetype::SocketStream,
        };
        Ok(types::Filestat {
            dev: 0,
            ino: 0,
            filetype,
            nlink: 0,
            size: 0,
            atim: 0,
            mtim: 0,
            ctim: 0,
        })
    }

    async fn fd_read(
        &mut self,
        memory: &mut GuestMemory<'_>,
        descriptor: Fd,
        areas: types::IovecArray,
    ) -> Result<types::Size, Error> {
        match self.descriptors.get(descriptor)? {
            None | Some(Target::Stdin | Target::Wasi(_)) => {
                let descriptor = self.descriptors.wasi(descriptor)?;
                let read = self.wasi.fd_read(memory, descriptor, areas);
                beside(&mut self.descriptors, read).await
            }
            Some(Target::Null) => Ok(0),
            Some(Target::Listener(_)) => Err(Errno::Notconn.into()),
            Some(Target::Connection(_)) => match first_area(memory, areas)? {
                None => Ok(0),
                Some(area) => self.receive(descriptor, memory, area, false).await,
            },
        }
    }

    async fn fd_write(
        &mut self,
        memory: &mut GuestMemory<'_>,
        descriptor: Fd,
        areas: types::CiovecArray,
    ) -> Result<types::Size, Error> {
        match self.descriptors.get(descriptor)? {
            None | Some(Target::Stdin | Target::Wasi(_)) => {
                let descriptor = self.descriptors.wasi(descriptor)?;
                self.wasi.fd_write(memory, descriptor, areas).await
            }
            Some(Target::Null) => total(memory, areas),
            Some(Target::Listener(_)) => Err(Errno::Notconn.into()),
            Some(Target::Connection(_)) => self.send(descriptor, memory, areas).await,
        }
    }

    async fn path_link(
        &mut self,
        memory: &mut GuestMemory<'_>,
        source: Fd,
        flags: types::Lookupflags,
        source_path: GuestPtr<str>,
        target: Fd,
        target_path: GuestPtr<str>,
    ) -> Result<(), Error> {
        let (source, target) = (
            self.descriptors.wasi(source)?,
            self.descriptors.wasi(target)?,
        );
        self.wasi
            .path_link(memory, source, flags, source_path, target, target_path)
            .await
    }

    async fn path_open(
        &mut self,
        memory: &mut GuestMemory<'_>,
        directory: Fd,
        lookup: types::Lookupflags,
        path: GuestPtr<str>,
        open: types::Oflags,
        base: types::Rights,
        inheriting: types::Rights,
        flags: types::Fdflags,
    ) -> Result<Fd, Error> {
        let directory = self.descriptors.wasi(directory)?;
        let opened = self
            .wasi
            .path_open(
                memory, directory, lookup, path, open, base, inheriting, flags,
            )
            .await?;
        match self.descriptors.insert(Target::Wasi(opened.into())) {
            Ok(descriptor) => Ok(descriptor),
            Err(error) => {
                self.wasi.fd_close(memory, opened).await?;
                Err(error.into())
            }
        }
    }

    async fn path_rename(
        &mut self,
        memory: &mut GuestMemory<'_>,
        source: Fd,
        source_path: GuestPtr<str>,
        target: Fd,
        target_path: GuestPtr<str>,
    ) -> Result<(), Error> {
        let (source, target) = (
            self.descriptors.wasi(source)?,
            self.descriptors.wasi(target)?,
        );
        self.wasi
            .path_rename(memory, source, source_path, target, target_path)
            .await
    }

    async fn path_symlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        contents: GuestPtr<str>,
        directory: Fd,
        path: GuestPtr<str>,
    ) -> Result<(), Error> {
        let directory = self.descriptors.wasi(directory)?;
        self.wasi
            .path_symlink(memory, contents, directory, path)
            .await
    }

    async fn poll_oneoff(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<types::Subscription>,
        events: GuestPtr<types::Event>,
        count: types::Size,
    ) -> Result<types::Size, Error> {
        if matches!(self.descriptors, super::Descriptors::Plain) {
            return self
                .wasi
                .poll_oneoff(memory, subscriptions, events, count)
                .await;
        }
        self.poll(memory, subscriptions, events, count).await
    }

    fn proc_exit(&mut self, _: &mut GuestMemory<'_>, status: types::Exitcode) -> wasmtime::Error {
        // wasmtime's own refuses statuses over 125, which a program may well have.
        I32Exit(status.cast_signed()).into()
    }
}

impl Preview1 {
    /// Ends what no descriptor stands for any more.
    async fn let_go(
        &mut self,
        memory: &mut GuestMemory<'_>,
        removed: Option<Target>,
    ) -> Result<(), Error> {
        match removed {
            Some(Target::Connection(connection)) => {
                self.closing.close(connection);
                Ok(())
            }
            removed => match removed.and_then(|target| target.wasi()) {
                Some(number) => self.wasi.fd_close(memory, number.into()).await,
                None => Ok(()),
            },
        }
    }
}
