//! A child process that never outlives the value that holds it.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use crate::reaper;
use crate::wait::poll_blocking;

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Whether it leads a process group, all of which ends with it.
    group: bool,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`; a missing binary panics with one line that says what to do.
    #[track_caller]
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self::spawn_as(command, false)
    }

    /// [`spawn`](Self::spawn) for a program that starts others: they end with it, all of them.
    #[track_caller]
    pub(crate) fn spawn_group(command: &mut Command) -> Self {
        Self::spawn_as(command.process_group(0), true)
    }

    #[track_caller]
    fn spawn_as(command: &mut Command, group: bool) -> Self {
        let child = command.spawn().unwrap_or_else(|error| {
            let program = command.get_program().to_string_lossy();
            let name = program.rsplit('/').next().unwrap_or_default();
            match error.kind() {
                ErrorKind::NotFound => {
                    panic!("{name} not found: run ./tests/run, which installs it")
                }
                _ => panic!("{program} can't be started: {error}"),
            }
        });
        let process = Self { child, group, ended: None };
        reaper::watch(process.watched());
        process
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() && self.exited() {
            self.kill_group(); // as long as its id can't be another's
            reaper::forget(self.watched());
            self.ended = Some(self.child.wait().expect("a child can be waited for"));
        }
        self.ended
    }

    /// Its exit status, or `None` when it still runs after `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        poll_blocking(limit, || self.ended())
    }

    /// Sends `signal`, unless the process has ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            kill_process(self.pid(), signal).expect("an own child can be signalled");
        }
    }

    /// SIGSTOP; returns once the process has stopped.
    pub(crate) fn freeze(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::STOP);
            waitid(WaitId::Pid(self.pid()), WaitIdOptions::STOPPED).expect("the child stops");
        }
    }

    /// SIGKILL; returns once the process is gone.
    pub(crate) fn kill(&mut self) {
        if self.ended().is_none() {
            self.kill_group();
            self.child.kill().expect("an own child can be killed");
            reaper::forget(self.watched());
            self.ended = Some(self.child.wait().expect("a child can be waited for"));
        }
    }

    /// Whether it has ended, without letting go of its id.
    fn exited(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.pid()), look).expect("a child can be waited for").is_some()
    }

    fn kill_group(&self) {
        if self.group {
            // an error: nobody is left in it
            let _ = kill_process_group(self.pid(), Signal::KILL);
        }
    }

    /// How the reaper knows it.
    fn watched(&self) -> i64 {
        let id = i64::from(self.id());
        if self.group { -id } else { id }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
