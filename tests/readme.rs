//! The picture in the README and the transcript in examples/fleet: the demos print what is shown there.
//!
//! Runs the demos, so it needs what `make build simulator` builds.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests fail loudly"
)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Two demos at once would choose the same free ports.
static ONE: Mutex<()> = Mutex::new(());

/// Seconds that the programs may take to start.
const DEADLINE: Duration = Duration::from_secs(120);

fn run(demo: &mut Command) -> Output {
    let _one = ONE.lock();
    let demo = demo.current_dir(env!("CARGO_MANIFEST_DIR"));
    demo.output().unwrap()
}

/// The first block of text after a command in a document.
fn transcript(document: &str, command: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = fs::read_to_string(path).unwrap();
    let (_, after) = text.split_once(&format!("```sh\n{command}\n```")).unwrap();
    let (_, block) = after.split_once("```text\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// Replaces port numbers: they are the documented ones only if those are free.
fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str("127.0.0.1:N");
        plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    plain
}

/// What a demo prints. It must end well.
fn printed_by(demo: &str) -> String {
    let demo = run(&mut Command::new(demo));
    let printed = String::from_utf8_lossy(&demo.stdout);
    assert!(
        demo.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&demo.stderr)
    );
    let printed: Vec<_> = printed
        .lines()
        .filter(|line| !line.ends_with("using free ports."))
        .collect();
    printed.join("\n")
}

/// A picture of a terminal (SVG) in which a command printed this.
fn terminal(command: &str, printed: &str) -> String {
    const LINE: usize = 20;
    const CHARACTER: usize = 8;
    // Not those of the longest line: it has ports, which differ where the documented ones are taken.
    const COLUMNS: usize = 120;
    let lines: Vec<_> = printed.lines().collect();
    let longest = lines.iter().map(|line| line.len()).max();
    assert!(longest.unwrap_or(0) <= COLUMNS, "{printed}");
    let (width, height) = (COLUMNS * CHARACTER + 40, (lines.len() + 1) * LINE + 52);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13\" fill=\"#e6edf3\" role=\"img\">\n\
         <title>What {command} prints</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for (x, colour) in [(20, "#ff5f57"), (38, "#febc2e"), (56, "#28c840")] {
        let _ = writeln!(
            svg,
            "<circle cx=\"{x}\" cy=\"18\" r=\"5\" fill=\"{colour}\"/>"
        );
    }
    let mut y = 50;
    for line in [&*format!("$ {command}")].into_iter().chain(lines) {
        let escaped = line.replace('&', "&amp;").replace('<', "&lt;");
        let text = match escaped.strip_suffix(" ok") {
            Some(step) => format!("{step} <tspan fill=\"#3fb950\">ok</tspan>"),
            None => escaped,
        };
        if !text.is_empty() {
            let _ = writeln!(
                svg,
                "<text x=\"20\" y=\"{y}\" xml:space=\"preserve\">{text}</text>"
            );
        }
        y += LINE;
    }
    svg + "</svg>\n"
}

#[test]
fn the_demo_prints_what_the_picture_in_the_readme_shows() {
    let file = "docs/images/demo.svg";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let picture = terminal("make demo", &printed_by("examples/demo/demo.sh"));
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        assert!(picture.contains("127.0.0.1:10000"), "a port is taken");
        fs::write(&path, &picture).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        without_ports(&committed) == without_ports(&picture),
        "{file} is not what the demo prints; to write it: PORTCULLIS_BLESS=1 cargo test --test readme\n{picture}"
    );
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    assert!(fs::read_to_string(readme).unwrap().contains(file));
}

#[test]
fn the_fleet_demo_prints_what_its_readme_shows() {
    let transcript = transcript("examples/fleet/README.md", "make demo-fleet");
    assert_eq!(
        without_ports(&printed_by("examples/fleet/demo.sh")),
        without_ports(transcript.trim_end())
    );
}

/// A process group, which ends with this.
struct Group(Child);

impl Group {
    /// Whether a process of the group got the signal.
    fn signal(&self, signal: &str) -> bool {
        let group = format!("-{}", self.0.id());
        let mut kill = Command::new("kill");
        let kill = kill.args([signal, "--", &group]).stderr(Stdio::null());
        kill.status().unwrap().success()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal("-KILL");
    }
}

/// The first value of `look`, within the deadline.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Starts `run` of the demo in a process group of its own, and waits until it runs. Its output goes to the file.
fn running(command: &mut Command) -> (Group, tempfile::NamedTempFile) {
    let output = tempfile::NamedTempFile::new().unwrap();
    let file = || output.reopen().unwrap();
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stdout(file())
        .stderr(file())
        .process_group(0);
    let mut group = Group(command.spawn().unwrap());
    let printed = || fs::read_to_string(output.path()).unwrap();
    until(|| {
        let ended = group.0.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}: {}", printed());
        printed().contains("Switch blocking off").then_some(())
    });
    (group, output)
}

/// Checks that `run` has ended every program, and that it has kept the logs that it names; deletes them.
fn assert_ended(group: &Group, output: &tempfile::NamedTempFile) {
    let printed = fs::read_to_string(output.path()).unwrap();
    assert!(!group.signal("-0"), "processes still run: {printed}");
    let parts = printed.split_once("\nStopped. The logs are in ");
    let (shown, end) = parts.unwrap_or_else(|| panic!("{printed}"));
    let directory = end.trim_end().strip_suffix('.').unwrap();
    assert!(shown.contains(&format!("{directory}/*.log\n")), "{shown}");
    for program in ["envoy", "abs-simulator", "sample-api"] {
        let log = Path::new(directory).join(format!("{program}.log"));
        assert!(!fs::read(log).unwrap().is_empty(), "{program}");
    }
    fs::remove_dir_all(directory).unwrap();
}

/// Ctrl-C reaches every process of the terminal's foreground: make, the script, and the programs.
#[test]
fn an_interrupted_make_run_ends_cleanly_and_keeps_the_logs() {
    let _one = ONE.lock();
    let mut make = Command::new("make");
    // What it needs is built, and this test is not part of the make that may run it.
    make.args(["run", "-o", "demo-tools", "-o", "module", "-o", "simulator"])
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL");
    let (mut make, output) = running(&mut make);

    assert!(make.signal("-INT"));
    let status = until(|| make.0.try_wait().unwrap());

    let printed = fs::read_to_string(output.path()).unwrap();
    let interrupted = status.signal() == Some(2);
    assert!(status.success() || interrupted, "{status}: {printed}");
    assert!(!printed.contains("***"), "{printed}");
    assert_ended(&make, &output);
}

/// Only the script gets the signal, so that it has to end the programs.
#[test]
fn a_terminated_run_ends_its_programs() {
    let _one = ONE.lock();
    let mut script = Command::new("examples/demo/demo.sh");
    let (mut script, output) = running(script.arg("run"));

    let mut kill = Command::new("kill");
    let kill = kill.args(["-TERM", &script.0.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let status = until(|| script.0.try_wait().unwrap());

    assert!(status.success(), "{status}");
    assert_ended(&script, &output);
}

#[test]
fn a_demo_that_fails_shows_the_output_of_its_programs() {
    for mode in ["demo", "run"] {
        let mut demo = Command::new("examples/demo/demo.sh");
        // `cat` reports an unknown option.
        let demo = run(demo.arg(mode).env("ENVOY_BIN", "/bin/cat"));
        let stderr = String::from_utf8_lossy(&demo.stderr);
        assert_eq!(demo.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("demo: envoy ended"), "{stderr}");
        assert!(stderr.contains("cat: invalid option"), "{stderr}");
        if let Some((_, logs)) = stderr.split_once("The logs are in ") {
            let directory = logs.trim_end().strip_suffix('.').unwrap();
            assert_eq!(mode, "run", "{stderr}");
            assert!(Path::new(directory).join("envoy.log").is_file());
            fs::remove_dir_all(directory).unwrap();
        }
    }
}
