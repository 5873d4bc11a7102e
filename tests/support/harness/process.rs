//! A child process that ends with its owner, with its output in memory.
//!
//! Owns where programs are found and how they start and stop. If the test fails, prints what they wrote.

use super::waiting::eventually;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The file that the environment variable names, or else `default` in the repository. If it is missing, the test fails
/// and names the command that builds it.
pub fn artefact(variable: &str, default: &str, made_by: &str) -> PathBuf {
    let path = match std::env::var_os(variable) {
        Some(path) => repository().join(path),
        None => repository().join(default),
    };
    assert!(
        path.is_file(),
        "{} is missing: run `{made_by}`, or name another file in {variable}",
        path.display()
    );
    path
}

/// A running program.
pub struct Process {
    name: &'static str,
    child: Child,
    stdout: Output,
    stderr: Output,
}

type Output = Arc<Mutex<Vec<u8>>>;

impl Process {
    /// Starts `command`, in the repository's root.
    pub fn start(name: &'static str, command: &mut Command) -> Self {
        let mut child = command
            .current_dir(repository())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} did not start: {error}"));
        let stdout = keep(child.stdout.take().unwrap());
        let stderr = keep(child.stderr.take().unwrap());
        Self {
            name,
            child,
            stdout,
            stderr,
        }
    }

    /// Its process ID.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory now, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.status_number("VmRSS:")
    }

    /// The peak of resident memory so far, in KiB.
    pub fn peak_resident_kib(&self) -> u64 {
        self.status_number("VmHWM:")
    }

    fn status_number(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|text| text.split_whitespace().next());
        number.and_then(|text| text.parse().ok()).unwrap()
    }

    /// Kills it.
    pub fn stop(&mut self) {
        // Both fail only if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Fails if the process has ended.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended: {status}\n{}", self.name, self.transcript());
        }
    }

    /// The address in the first line of standard output, `… listening on http://ADDRESS`.
    pub async fn listening_address(&mut self) -> SocketAddr {
        let [address] = self.listening_addresses().await;
        address
    }

    /// The addresses in the first lines of standard output.
    pub async fn listening_addresses<const N: usize>(&mut self) -> [SocketAddr; N] {
        eventually(&format!("{} prints its address", self.name), async || {
            self.assert_running();
            let output = self.stdout();
            let (lines, _) = output.rsplit_once('\n')?;
            let addresses = lines.lines().take(N).map(|line| {
                let (_, address) = line.rsplit_once("://")?;
                address.trim().parse().ok()
            });
            let addresses: Option<Vec<_>> = addresses.collect();
            addresses?.try_into().ok()
        })
        .await
    }

    /// Both outputs under headings.
    pub fn transcript(&self) -> String {
        format!(
            "---- {name}, standard output ----\n{}\n---- {name}, standard error ----\n{}",
            self.stdout(),
            self.stderr(),
            name = self.name
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("{}", self.transcript());
        }
    }
}

fn keep(mut pipe: impl Read + Send + 'static) -> Output {
    let kept = Output::default();
    let writer = Arc::clone(&kept);
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length) = pipe.read(&mut buffer) {
            if length == 0 {
                break;
            }
            writer.lock().unwrap().extend_from_slice(&buffer[..length]);
        }
    });
    kept
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.lock().unwrap()).into_owned()
}
