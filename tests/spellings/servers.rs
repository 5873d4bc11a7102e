//! The processes of the servers. `tools/install spelling-servers` installs their programs; if one is missing, the test
//! fails.

use crate::harness::process::{Process, repository};
use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The folder of the servers' programs.
const PROGRAMS: &str = "tests/spellings/servers";
/// Where `tools/install spelling-servers` installs them.
const INSTALLED: &str = ".tools/spellings";

/// Every server by its name.
pub const NAMES: [&str; 14] = [
    "flask",
    "starlette",
    "django",
    "aiohttp",
    "tornado",
    "cherrypy",
    "express",
    "fastify",
    "koa",
    "hapi",
    "php",
    "nginx",
    "tomcat",
    "go",
];

/// A running server.
pub struct Server {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub process: Process,
    _directory: TempDir,
}

/// Starts every server without waiting until it listens.
pub fn start() -> Vec<Server> {
    assert!(
        repository().join(INSTALLED).join("go-server").is_file(),
        "the servers are missing: run `tools/install spelling-servers`"
    );
    // Holds all ports until all are known, so that no port is used twice.
    let listeners = NAMES.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = listeners
        .each_ref()
        .map(|listener| listener.local_addr().unwrap());
    drop(listeners);
    let started = NAMES.into_iter().zip(addresses);
    started
        .map(|(name, address)| {
            let directory = TempDir::new().unwrap();
            let mut command = command(name, address.port(), directory.path());
            Server {
                name,
                address,
                process: Process::start(name, &mut command),
                _directory: directory,
            }
        })
        .collect()
}

fn command(name: &str, port: u16, directory: &Path) -> Command {
    let programs = repository().join(PROGRAMS);
    let installed = repository().join(INSTALLED);
    match name {
        "django" => {
            let mut command = python(&installed);
            command
                .args(["-m", "gunicorn", "--bind", &format!("127.0.0.1:{port}")])
                .args(["--worker-class", "gthread", "--threads", "4"])
                .args(["--keep-alive", "75", "--log-level", "critical"])
                .arg("--chdir")
                .arg(programs)
                .arg("django_app:application");
            command
        }
        "flask" | "starlette" | "aiohttp" | "tornado" | "cherrypy" => {
            let mut command = python(&installed);
            command.arg(programs.join(format!("{name}_app.py")));
            command.arg(port.to_string());
            command
        }
        "express" | "fastify" | "koa" | "hapi" => {
            let mut command = Command::new("node");
            command
                .env("NODE_PATH", installed.join("npm/node_modules"))
                .arg(programs.join(format!("{name}.js")))
                .arg(port.to_string());
            command
        }
        "php" => {
            let mut command = Command::new(php(&installed));
            command
                // No output about connections.
                .args(["-q", "-q", "-S", &format!("127.0.0.1:{port}")])
                .arg(programs.join("php.php"));
            command
        }
        "nginx" => {
            let configuration = rendered(&programs.join("nginx.conf"), port, directory);
            let file = directory.join("nginx.conf");
            std::fs::write(&file, configuration).unwrap();
            let mut command = Command::new(debian(&installed, "usr/sbin/nginx"));
            command.arg("-p").arg(directory).arg("-c").arg(file);
            command
        }
        "tomcat" => {
            let webapp = programs.join("tomcat/webapp");
            let configuration = rendered(&programs.join("tomcat/server.xml"), port, directory)
                .replace("WEBAPP", webapp.to_str().unwrap());
            std::fs::create_dir(directory.join("conf")).unwrap();
            std::fs::write(directory.join("conf/server.xml"), configuration).unwrap();
            let mut command = Command::new(java(&installed));
            command
                // Most of its run is its start.
                .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
                .arg(jars(&debian(&installed, "usr/share/java")))
                .arg(format!("-Dcatalina.base={}", directory.display()))
                .arg(format!("-Dcatalina.home={}", directory.display()))
                .args(["org.apache.catalina.startup.Bootstrap", "start"]);
            command
        }
        "go" => {
            let mut command = Command::new(installed.join("go-server"));
            command
                .arg(port.to_string())
                .arg(programs.join("keys.json"));
            command
        }
        _ => panic!("no server {name}"),
    }
}

fn python(installed: &Path) -> Command {
    let mut command = Command::new(repository().join(".tools/venv/bin/python"));
    command
        .env("PYTHONPATH", installed.join("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A file of Debian's packages: unpacked by tools/install, or the system's if the package is installed.
fn debian(installed: &Path, file: &str) -> PathBuf {
    let unpacked = installed.join("debian").join(file);
    if unpacked.exists() {
        return unpacked;
    }
    let system = Path::new("/").join(file);
    assert!(
        system.exists(),
        "{file} is missing: remove {INSTALLED}/debian and run `tools/install spelling-servers`"
    );
    system
}

/// The program's name has its version.
fn php(installed: &Path) -> PathBuf {
    let programs = debian(installed, "usr/bin");
    for directory in [programs, PathBuf::from("/usr/bin")] {
        let entries = std::fs::read_dir(&directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let is_php = |name: &&OsString| {
            let name = name.to_str().unwrap_or_default();
            name.strip_prefix("php").is_some_and(|version| {
                !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            })
        };
        if let Some(name) = names.iter().find(is_php) {
            return directory.join(name);
        }
    }
    panic!("PHP is missing: remove {INSTALLED}/debian and run `tools/install spelling-servers`");
}

fn java(installed: &Path) -> PathBuf {
    let machines = installed.join("debian/usr/lib/jvm");
    let machines = std::fs::read_dir(machines).into_iter().flatten();
    machines
        .map(|entry| entry.unwrap().path().join("bin/java"))
        .find(|program| program.exists())
        .unwrap_or_else(|| PathBuf::from("java"))
}

/// Tomcat and the compiler of its pages.
fn jars(directory: &Path) -> OsString {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut jars: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap_or_default();
            name.ends_with(".jar")
                && (name.starts_with("tomcat10") || name.starts_with("eclipse-jdt-core"))
        })
        .collect();
    jars.sort();
    std::env::join_paths(jars).unwrap()
}

fn rendered(file: &Path, port: u16, directory: &Path) -> String {
    std::fs::read_to_string(file)
        .unwrap()
        .replace("PORT", &port.to_string())
        .replace("DIRECTORY", directory.to_str().unwrap())
}
