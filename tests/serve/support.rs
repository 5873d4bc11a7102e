//! A server over a directory of its own, and an HTTP client.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::http::{Request, Response};

/// How long a condition may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The directories of a server, and the server while it runs.
pub struct Fleet {
    pub directory: TempDir,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub state: PathBuf,
    /// How many files the server may have open.
    pub open_files: Option<u32>,
    server: Option<Running>,
}

struct Running {
    child: Child,
    url: String,
    log: Arc<Mutex<String>>,
}

impl Fleet {
    /// A directory with the filter `portcullis`, without a server.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fleet = Self {
            state: directory.path().join("state"),
            directory,
            arguments: Vec::new(),
            environment: Vec::new(),
            open_files: None,
            server: None,
        };
        fs::create_dir(fleet.path("filters")).unwrap();
        fleet.write("portcullis.json", &filter(&json!({})).to_string());
        fleet
    }

    /// The same with a server.
    pub fn started() -> Self {
        let mut fleet = Self::new();
        fleet.start();
        fleet
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces a filter file by a rename.
    pub fn write(&self, name: &str, text: &str) {
        let new = self.path("filters").join(format!(".{name}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path("filters").join(name)).unwrap();
    }

    /// The command that starts the server on a free port.
    pub fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_portcullis");
        let mut command = match self.open_files {
            Some(files) => {
                let mut command = Command::new("sh");
                command.args([
                    "-c",
                    &format!("ulimit -n {files} && exec \"$0\" \"$@\""),
                    program,
                ]);
                command
            }
            None => Command::new(program),
        };
        command
            .args(["serve", "--filters"])
            .arg(self.path("filters"))
            .arg("--state")
            .arg(&self.state)
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if !self.arguments.iter().any(|argument| argument == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command
    }

    /// Starts the server, and waits until it listens.
    pub fn start(&mut self) {
        let mut child = self.command().spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (found, url) = std::sync::mpsc::channel();
        let written = log.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(url) = line.strip_prefix("portcullis serve: http") {
                    let _ = found.send(format!("http{url}"));
                }
                let mut log = written.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let url = url.recv_timeout(PATIENCE);
        let url = url.unwrap_or_else(|_| panic!("no server: {}", log.lock().unwrap()));
        self.server = Some(Running { child, url, log });
    }

    /// Kills the server without a chance to clean up.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.server.take() {
            running.child.kill().unwrap();
            running.child.wait().unwrap();
        }
    }

    /// Waits until the server ends by itself, and returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let child = &mut self.server.as_mut().unwrap().child;
        eventually("the end of the server", || child.try_wait().unwrap()).code()
    }

    pub fn url(&self) -> &str {
        &self.server.as_ref().unwrap().url
    }

    pub fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().child.id()
    }

    /// What the server has written to standard error.
    pub fn log(&self) -> String {
        self.server.as_ref().unwrap().log.lock().unwrap().clone()
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response<Vec<u8>> {
        self.send("GET", path, headers, Vec::new())
    }

    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Response<Vec<u8>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        let body: Vec<u8> = body.into();
        let (parts, mut body) = match body.is_empty() && method == "GET" {
            true => agent.run(request.body(()).unwrap()),
            false => agent.run(request.body(body).unwrap()),
        }
        .unwrap()
        .into_parts();
        let body = body.with_config().limit(1 << 30).read_to_vec().unwrap();
        Response::from_parts(parts, body)
    }

    /// What a node asks for a filter.
    pub fn discover(&self, node: &str, filter: &str, version: &str) -> Response<Vec<u8>> {
        let request = json!({
            "version_info": version,
            "node": {
                "id": node,
                "cluster": "edge",
                "user_agent_name": "envoy",
                "user_agent_build_version": {"version": {"major_number": 1, "minor_number": 40}},
            },
            "resource_names": [filter],
            "type_url": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        });
        self.send(
            "POST",
            "/v3/discovery:extension_configs",
            &[("content-type", "application/json")],
            request.to_string(),
        )
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A filter file of Envoy with this plugin configuration.
pub fn filter(configuration: &Value) -> Value {
    json!({"resources": [{
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": "portcullis",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "portcullis",
                "root_id": "portcullis",
                "vm_config": {
                    "vm_id": "portcullis",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": "target/portcullis.wasm"}},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.Struct",
                    "value": configuration,
                },
            },
        },
    }]})
}

pub fn body(response: &Response<Vec<u8>>) -> Value {
    serde_json::from_slice(response.body())
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(response.body())))
}

/// Waits until `condition` gives a value.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A disk of 256 KiB.
pub struct Tmpfs(TempDir);

impl Tmpfs {
    /// Mounts it.
    pub fn mounted() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(directory.path())
            .status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "a tmpfs can't be mounted: this test needs root"
        );
        Self(directory)
    }

    pub fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// Writes a file until no space is left.
    pub fn fill(&self) {
        use std::io::Write as _;
        let mut file = fs::File::create(self.path().join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
