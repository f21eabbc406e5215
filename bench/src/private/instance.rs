//! One private server: its folder, its process, and the keeper that ends both.

use super::{programs, shell};
use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Outlives this process if need be, see the file.
const KEEPER: &str = include_str!("keeper.sh");

/// Below the ports that the kernel hands out itself, so that nobody takes one while its server is
/// stopped.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// As many ports are tried.
const TRIES: usize = 10;

#[derive(Debug)]
pub(crate) struct Instance {
    folder: PathBuf,
    keeper: Child,
    server: Option<Child>,
    port: u16,
}

impl Instance {
    /// A folder and its keeper. `signal` ends the server at once, and leaves nothing behind.
    pub(crate) fn new(name: &str, signal: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("tollgate-{name}-")).tempdir()?;
        if let Some(user) = programs::unprivileged()? {
            chown(folder.path(), Some(user.id), Some(user.group))?;
        }
        let mut keeper = Command::new("/bin/sh");
        keeper
            .env("PATH", "/usr/bin:/bin")
            .args(["-c", KEEPER, "keeper"])
            .arg(folder.path())
            .arg(signal);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: Ctrl-C ends the tests, and not who cleans up after them.
        let keeper = keeper.current_dir("/").process_group(0).spawn()?;
        Ok(Self { folder: folder.keep(), keeper, server: None, port: 0 })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What the server wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// A program that runs in the folder, as a user who may, in English.
    pub(crate) fn command(&self, program: &Path) -> io::Result<Command> {
        let mut command = self.own_command(program);
        command.env("LC_ALL", "C");
        if let Some(user) = programs::unprivileged()? {
            command.uid(user.id).gid(user.group);
        }
        Ok(command)
    }

    /// A program that runs in the folder as whoever runs this one.
    pub(crate) fn own_command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// Why a program did not start: the folder may be closed to the user who runs it.
    pub(crate) fn explain(&self, error: &io::Error) -> io::Error {
        let folder = self.folder.display();
        io::Error::new(error.kind(), format!("{error}, in {folder}, which TMPDIR moves"))
    }

    /// A file of the folder that only the server reads.
    pub(crate) fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.folder.join(name);
        // The folder is closed to everybody else.
        fs::write(&path, text)?;
        if let Some(user) = programs::unprivileged()? {
            chown(&path, Some(user.id), Some(user.group))?;
        }
        Ok(path)
    }

    /// Starts the server for the first time, on a port that is free. `command` is told the port,
    /// `ready` is asked until it answers yes.
    pub(crate) async fn start(
        &mut self,
        command: impl Fn(&Self, u16) -> io::Result<Command>,
        ready: impl AsyncFn(&Self) -> io::Result<bool>,
    ) -> io::Result<()> {
        let mut tries = 1;
        loop {
            self.port = free_port()?;
            let started = self.start_again(command(self, self.port)?, &ready).await;
            let taken = started.is_err() && self.log().contains("ddress already in use");
            if !taken || tries == TRIES {
                return started;
            }
            tries += 1;
            fs::remove_file(self.log_file())?;
        }
    }

    /// Starts the server on the port that it had.
    pub(crate) async fn start_again(
        &mut self,
        mut command: Command,
        ready: impl AsyncFn(&Self) -> io::Result<bool>,
    ) -> io::Result<()> {
        if self.server.is_some() {
            return Err(io::Error::other("it runs already"));
        }
        let log = File::options().create(true).append(true).open(self.log_file())?;
        command.stdout(log.try_clone()?).stderr(log).process_group(0);
        let server = command.spawn().map_err(|error| self.explain(&error))?;
        fs::write(self.processes(), format!("{}\n", server.id()))?;
        self.server = Some(server);
        shell::until("the server is ready", async || {
            if self.ended()? {
                self.gone();
                return Err(io::Error::other(format!("it does not start: {}", self.log())));
            }
            ready(self).await
        })
        .await
    }

    /// Ends the server in its own way, by a signal.
    pub(crate) async fn stop(&mut self, signal: &str) -> io::Result<()> {
        let server = self.id()?;
        self.resume()?;
        shell::signal(signal, &[server])?;
        shell::until("the server ends", async || self.ended()).await?;
        self.gone();
        Ok(())
    }

    /// kill -9 for the server and all processes that it has started.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.pause().await?;
        let server = self.id()?;
        let children = shell::children(server)?;
        shell::signal("KILL", &children)?;
        shell::signal("KILL", &[server])?;
        shell::until("the server is gone", async || {
            Ok(self.ended()? && children.iter().all(|child| shell::has_ended(*child)))
        })
        .await?;
        self.gone();
        Ok(())
    }

    /// Stops the server and all of its processes where they are. The kernel still takes
    /// connections for it; nobody answers.
    pub(crate) async fn pause(&mut self) -> io::Result<()> {
        let server = self.id()?;
        shell::signal("STOP", &[server])?;
        shell::until("the server stands still", async || Ok(shell::is_stopped(server))).await?;
        // From here on there are no new ones.
        let children = shell::children(server)?;
        let stopped = children.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        fs::write(self.processes(), format!("{server} {stopped}\n"))?;
        shell::signal("STOP", &children)?;
        shell::until("its processes stand still", async || {
            Ok(children.iter().all(|child| shell::is_stopped(*child)))
        })
        .await
    }

    /// Goes on after a pause.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        let server = self.id()?;
        shell::signal("CONT", &shell::children(server)?)?;
        shell::signal("CONT", &[server])
    }

    /// The server's process.
    pub(crate) fn id(&self) -> io::Result<u32> {
        self.server.as_ref().map(Child::id).ok_or_else(|| io::Error::other("it does not run"))
    }

    fn ended(&mut self) -> io::Result<bool> {
        self.server.as_mut().map_or(Ok(true), |server| Ok(server.try_wait()?.is_some()))
    }

    /// The server has ended: its number may soon be another's.
    fn gone(&mut self) {
        self.server = None;
        // It is not there when it could not be written.
        drop(fs::remove_file(self.processes()));
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn processes(&self) -> PathBuf {
        self.folder.join("processes")
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
        if let Some(server) = &mut self.server {
            // It has ended, unless somebody has killed the keeper.
            drop(server.kill());
            drop(server.wait());
        }
    }
}

fn free_port() -> io::Result<u16> {
    let ports = std::iter::repeat_with(|| fastrand::u16(PORTS)).take(1000);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let none = || io::Error::other(format!("no port of {PORTS:?} is free on 127.0.0.1"));
    ports.into_iter().find(free).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::{Command, Instance, TRIES, io, shell};
    use std::{cell::RefCell, path::Path};

    /// A server that finds so many ports taken; returns the ports that it was given.
    async fn start(instance: &mut Instance, taken: usize) -> (io::Result<()>, Vec<u16>) {
        let ports = RefCell::new(Vec::new());
        let command = |instance: &Instance, port| {
            ports.borrow_mut().push(port);
            let busy = ports.borrow().len() <= taken;
            let script = if busy { "echo Address already in use; exit 1" } else { "exec cat" };
            let mut command: Command = instance.command(Path::new("/bin/sh"))?;
            command.args(["-c", script]).stdin(std::process::Stdio::piped());
            Ok(command)
        };
        let ready = async |_: &Instance| Ok(ports.borrow().len() > taken);
        let started = instance.start(command, ready).await;
        (started, ports.into_inner())
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_changed() {
        let mut instance = Instance::new("test", "KILL").unwrap();
        let (started, ports) = start(&mut instance, 2).await;
        started.unwrap();
        assert_eq!(ports.len(), 3);
        assert_eq!(instance.port(), ports[2]);
        assert!(!shell::has_ended(instance.id().unwrap()));

        let mut unlucky = Instance::new("test", "KILL").unwrap();
        let (started, ports) = start(&mut unlucky, usize::MAX).await;
        let error = started.unwrap_err().to_string();
        assert!(error.contains("does not start: Address already in use"), "{error}");
        assert_eq!(ports.len(), TRIES);

        let folders = [&instance, &unlucky].map(|instance| instance.folder().to_owned());
        drop((instance, unlucky));
        assert!(!folders.iter().any(|folder| folder.exists()));
    }
}
