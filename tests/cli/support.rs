//! A workspace with the shipped Envoy file, and shell sessions in it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// The tool under test.
pub const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A directory with the shipped `envoy/filter.json`.
pub struct Workspace {
    folder: TempDir,
    /// Where programs are found before those of the system.
    programs: Vec<PathBuf>,
    environment: Vec<(String, String)>,
    /// Replacements for output that differs between runs.
    shown: Vec<(String, String)>,
}

impl Workspace {
    /// A new workspace.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("envoy")).unwrap();
        fs::copy(
            repository().join("envoy/filter.json"),
            folder.path().join("envoy/filter.json"),
        )
        .unwrap();
        Self {
            folder,
            programs: vec![Path::new(PORTCULLIS).parent().unwrap().to_owned()],
            environment: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// Sets an environment variable for its commands.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Puts the programs in a folder before those of the system.
    pub fn add_programs(&mut self, folder: &Path) {
        self.programs.push(folder.to_owned());
    }

    /// Replaces `text` with `shown` in all output.
    pub fn show_as(&mut self, text: &str, shown: &str) {
        self.shown.push((text.to_owned(), shown.to_owned()));
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The text of a file in it.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: &str) {
        self.write_bytes(name, text.as_bytes());
    }

    /// Writes a file that may not be text.
    pub fn write_bytes(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Copies a folder of `tests/cli/fixtures`.
    pub fn add_fixture(&self, name: &str) {
        copy(
            &repository().join("tests/cli/fixtures").join(name),
            &self.path(name),
        );
    }

    /// The tool with arguments, ready to start.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PORTCULLIS);
        command.args(arguments);
        self.prepare(&mut command);
        command
    }

    /// Runs the tool.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the tool, which must fail with `exit_code` and print `words` on standard error.
    pub fn assert_refused(&self, arguments: &[&str], exit_code: i32, words: &str) {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit_code), "{stderr}");
        assert_eq!(self.as_shown(&stderr), words);
        assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    }

    /// Runs each command of a session, and returns the session with the actual output.
    pub fn replay(&self, session: &str) -> String {
        let mut replayed = String::new();
        for command in session.lines().filter_map(|line| line.strip_prefix("$ ")) {
            let (printed, status) = self.shell(command);
            replayed.push_str(&format!("$ {command}\n{printed}"));
            if !printed.is_empty() && !printed.ends_with('\n') {
                replayed.push('\n');
            }
            if status != Some(0) {
                replayed.push_str(&format!("[exit code {}]\n", status.unwrap()));
            }
        }
        replayed
    }

    /// Runs a shell command; its outputs are interleaved as on a terminal.
    fn shell(&self, command: &str) -> (String, Option<i32>) {
        let printed = tempfile::tempfile().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", command]);
        self.prepare(&mut shell);
        // The shell must not write to the test's own output.
        let status = shell
            .stdout(append(&printed))
            .stderr(append(&printed))
            .status()
            .unwrap();
        let mut text = String::new();
        let mut printed = printed;
        std::io::Seek::rewind(&mut printed).unwrap();
        printed.read_to_string(&mut text).unwrap();
        (self.as_shown(&text), status.code())
    }

    fn as_shown(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        let text = text.replace(&folder, "/workspace");
        self.shown
            .iter()
            .fold(text, |text, (real, shown)| text.replace(real, shown))
    }

    fn prepare(&self, command: &mut Command) {
        let system = ["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from);
        let programs = self.programs.iter().chain(&system);
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::join_paths(programs).unwrap())
            // A man page and a help text are as wide as the terminal.
            .env("COLUMNS", "100")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => _ = fs::copy(entry.path(), to).unwrap(),
        }
    }
}

fn append(file: &File) -> Stdio {
    Stdio::from(file.try_clone().unwrap())
}

/// Runs the session in `sessions/NAME.txt` and compares the output.
pub fn assert_session(workspace: &Workspace, name: &str) {
    let path = repository().join(format!("tests/cli/sessions/{name}.txt"));
    let session = fs::read_to_string(&path).unwrap();
    assert!(
        session.lines().any(|line| line.starts_with("$ ")),
        "{name} runs nothing"
    );
    let replayed = workspace.replay(&session);
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        fs::write(&path, &replayed).unwrap();
    } else {
        assert_same_session(name, &session, &replayed);
    }
}

/// Fails at the first line that differs.
pub fn assert_same_session(name: &str, expected: &str, replayed: &str) {
    let mut command = "";
    let (mut expected_lines, mut replayed_lines) = (expected.lines(), replayed.lines());
    loop {
        let (expected, replayed) = (expected_lines.next(), replayed_lines.next());
        if let Some(line) = expected.filter(|line| line.starts_with("$ ")) {
            command = line;
        }
        assert_eq!(
            replayed, expected,
            "{name}: at or after `{command}`: left was printed, right was expected"
        );
        if expected.is_none() {
            return;
        }
    }
}

/// A running ABS simulator.
pub struct Abs {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Abs {
    /// Starts one with additional arguments.
    pub fn start(arguments: &[&str]) -> Self {
        let path = match std::env::var_os("ABS_SIMULATOR") {
            Some(path) => PathBuf::from(path),
            None => repository().join("target/release/abs-simulator"),
        };
        assert!(
            path.is_file(),
            "{} is missing: run `make simulator`, or name another file in ABS_SIMULATOR",
            path.display()
        );
        let mut child = Command::new(path)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        let url = line.rsplit(' ').next().unwrap().trim().to_owned();
        assert!(url.starts_with("http"), "{line}");
        Self { child, url }
    }

    /// Sends a request to its admin interface.
    pub fn admin(&self, method: &str, path: &str, body: &str) -> String {
        let address = self.url.split("://").nth(1).unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 2"), "{response}");
        response.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// A workspace with the address of this ABS and its keys in the environment.
    pub fn workspace(&self) -> Workspace {
        let mut workspace = Workspace::new();
        workspace.set("ABS_URL", &self.url);
        workspace.set("ABS_ACCESS_KEY", "abs_ak");
        workspace.set("ABS_SECRET_KEY", "abs_sk");
        workspace.show_as(&self.url, "http://abs");
        workspace
    }
}

impl Drop for Abs {
    fn drop(&mut self) {
        // Both fail only if it has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
