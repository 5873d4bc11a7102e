//! The file is never half written, never loses a change, and stays the same if a change fails.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::support::{PORTCULLIS, Workspace};

/// The names in `envoy/`, and the file's text.
fn state(workspace: &Workspace) -> (Vec<String>, String) {
    let mut names: Vec<_> = fs::read_dir(workspace.path("envoy"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    (names, workspace.read("envoy/filter.json"))
}

#[test]
fn ten_concurrent_commands_all_take_effect() {
    let workspace = Workspace::new();
    let addresses: Vec<_> = (1..=10).map(|number| format!("192.0.2.{number}")).collect();
    let commands: Vec<_> = addresses
        .iter()
        .map(|address| {
            let mut command = workspace.command(&["add_blacklist", "ip", address]);
            command.stdout(std::process::Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    for mut command in commands {
        assert!(command.wait().unwrap().success());
    }
    let printed = workspace.run(&["view_blacklist", "manual"]).stdout;
    let printed = String::from_utf8(printed).unwrap();
    for address in &addresses {
        assert!(
            printed
                .lines()
                .any(|line| line.ends_with(&format!(": {address}"))),
            "{printed}"
        );
    }
    assert_eq!(state(&workspace).0, ["filter.json"]);
}

#[test]
fn a_reader_never_sees_a_partial_file() {
    let workspace = Workspace::new();
    let done = AtomicBool::new(false);
    let reads = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let text = workspace.read("envoy/filter.json");
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert!(
                    value
                        .pointer(
                            "/resources/0/typed_config/config/configuration/value/enable_firewall"
                        )
                        .is_some()
                );
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut changes = 0;
        // Changes until the reader has read often enough between them; stops if the reader has failed.
        while (changes < 40 || reads.load(Ordering::Relaxed) <= 20) && !reader.is_finished() {
            assert!(workspace.run(&["disable_firewall"]).status.success());
            assert!(workspace.run(&["enable_firewall"]).status.success());
            changes += 2;
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
}

#[test]
fn mode_and_owner_are_kept() {
    let workspace = Workspace::new();
    let path = workspace.path("envoy/filter.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root {
        chown(&path, Some(1234), Some(2345)).unwrap();
    }
    let before = fs::metadata(&path).unwrap();
    assert!(workspace.run(&["disable_firewall"]).status.success());
    let after = fs::metadata(&path).unwrap();
    assert_ne!(before.ino(), after.ino(), "it was replaced by a rename");
    assert_eq!(
        (before.mode(), before.uid(), before.gid()),
        (after.mode(), after.uid(), after.gid())
    );
}

#[test]
fn a_file_of_another_user_is_refused() {
    let workspace = Workspace::new();
    // Another user needs access to the file and the tool.
    for folder in ["", "envoy"] {
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(workspace.path(folder), open).unwrap();
    }
    let tool = workspace.path("portcullis");
    // By another process: a command that another test starts would inherit the open file, which then can't be executed.
    let copied = Command::new("cp").arg(PORTCULLIS).arg(&tool).status();
    assert!(copied.unwrap().success());
    let writable = fs::Permissions::from_mode(0o666);
    fs::set_permissions(workspace.path("envoy/filter.json"), writable).unwrap();
    let before = state(&workspace);
    let output = Command::new(tool)
        .arg("disable_firewall")
        .current_dir(workspace.path(""))
        .uid(65534)
        .gid(65534)
        .output()
        .expect("another user's program can't be started: this test needs root");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: envoy/filter.json was not changed: it belongs to another user, and its successor would not; run \
         as its owner, or as root\n"
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(state(&workspace), before);
}

#[test]
fn directories_and_pipes_are_refused() {
    let workspace = Workspace::new();
    let status = Command::new("mkfifo")
        .arg(workspace.path("pipe"))
        .status()
        .unwrap();
    assert!(status.success());
    for name in ["envoy", "pipe"] {
        workspace.assert_refused(
            &["--config", name, "disable_firewall"],
            1,
            &format!(
                "error: {name} was not changed: it is not a regular file; --config FILE names the file that holds the \
                 filter\n"
            ),
        );
    }
}

#[test]
fn a_command_that_changes_nothing_writes_nothing() {
    let workspace = Workspace::new();
    let before = fs::metadata(workspace.path("envoy/filter.json")).unwrap();
    assert!(workspace.run(&["enable_firewall"]).status.success());
    assert!(
        workspace
            .run(&["disable_firewall", "--dry-run"])
            .status
            .success()
    );
    let after = fs::metadata(workspace.path("envoy/filter.json")).unwrap();
    assert_eq!(before.ino(), after.ino());
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
}

#[test]
fn a_read_only_file_is_refused_even_to_root() {
    let workspace = Workspace::new();
    let path = workspace.path("envoy/filter.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let before = state(&workspace);
    workspace.assert_refused(
        &["disable_firewall"],
        1,
        "error: envoy/filter.json was not changed: it is read-only; make it writable, or run as a user who may write it\n",
    );
    assert_eq!(state(&workspace), before);
}

#[test]
fn an_invalid_file_is_refused_and_not_changed() {
    let table = [
        (
            "{\"resources\": [}",
            "error: envoy/filter.json: not valid JSON: expected value at line 1 column 16\n",
        ),
        (
            "{\"enable_firewall\": \"yes\"}",
            "error: envoy/filter.json was not changed: the filter would refuse the configuration\n  \
             enable_firewall: found a string; allowed: true or false, without quotes\n",
        ),
        (
            "",
            "error: envoy/filter.json is empty; give with --config the file that holds the filter's \"configuration\"\n",
        ),
        (
            "a: [1\n",
            "error: envoy/filter.json: not valid YAML: line 2, column 1: while parsing a flow sequence, \
             expected ',' or ']'\n",
        ),
    ];
    for (text, words) in table {
        let workspace = Workspace::new();
        workspace.write("envoy/filter.json", text);
        let before = state(&workspace);
        workspace.assert_refused(&["add_blacklist", "ip", "192.0.2.1"], 1, words);
        assert_eq!(state(&workspace), before);
    }
}

#[test]
fn a_file_that_is_not_text_is_refused() {
    let workspace = Workspace::new();
    fs::write(workspace.path("envoy/filter.json"), b"{\"\xff\": 1}").unwrap();
    workspace.assert_refused(
        &["status"],
        1,
        "error: envoy/filter.json can't be read: it is not UTF-8 text (byte 3)\n",
    );
}

/// A file system of 64 KiB, mounted for one test. Only root can mount: without that permission the test fails, since it
/// could not try a full disk.
struct SmallDisk<'a> {
    path: &'a Path,
}

impl<'a> SmallDisk<'a> {
    fn mount(path: &'a Path) -> Self {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(path)
            .status()
            .unwrap();
        assert!(
            status.success(),
            "a tmpfs can't be mounted: this test needs root"
        );
        Self { path }
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(self.path).status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_full_disk_is_reported_and_the_file_not_changed() {
    let workspace = Workspace::new();
    let shipped = workspace.read("envoy/filter.json");
    let folder = workspace.path("envoy");
    let _disk = SmallDisk::mount(&folder);
    workspace.write("envoy/filter.json", &shipped);
    let filling = fs::write(workspace.path("envoy/filling"), vec![0; 128 * 1024]);
    assert_eq!(filling.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    let before = state(&workspace);
    workspace.assert_refused(
        &["disable_firewall"],
        1,
        "error: envoy/filter.json was not changed: no space left on its disk; make room and try again\n",
    );
    assert_eq!(state(&workspace), before);
    fs::remove_file(workspace.path("envoy/filling")).unwrap();
    assert!(workspace.run(&["disable_firewall"]).status.success());
}

#[test]
fn a_file_in_a_config_map_volume_is_not_changed() {
    let workspace = Workspace::new();
    let shipped = workspace.read("envoy/filter.json");
    // The layout of a volume of the kubelet.
    fs::remove_file(workspace.path("envoy/filter.json")).unwrap();
    fs::create_dir(workspace.path("envoy/..2026_11_23_18_00_00.1")).unwrap();
    workspace.write("envoy/..2026_11_23_18_00_00.1/filter.json", &shipped);
    symlink("..2026_11_23_18_00_00.1", workspace.path("envoy/..data")).unwrap();
    symlink("..data/filter.json", workspace.path("envoy/filter.json")).unwrap();
    let before = state(&workspace);
    workspace.assert_refused(
        &["disable_firewall"],
        1,
        "error: envoy/filter.json was not changed: it is in a Kubernetes ConfigMap or Secret volume, which the \
         kubelet fills and overwrites; change the ConfigMap's manifest instead (portcullis --config MANIFEST ...) and \
         apply it\n",
    );
    assert_eq!(state(&workspace), before);
    // Reading is allowed.
    assert!(workspace.run(&["status"]).status.success());
    assert!(
        workspace
            .run(&["disable_firewall", "--dry-run"])
            .status
            .success()
    );
}

#[test]
fn a_symbolic_link_is_kept() {
    let workspace = Workspace::new();
    fs::rename(
        workspace.path("envoy/filter.json"),
        workspace.path("real.json"),
    )
    .unwrap();
    symlink("../real.json", workspace.path("envoy/filter.json")).unwrap();
    assert!(workspace.run(&["disable_firewall"]).status.success());
    let link = fs::symlink_metadata(workspace.path("envoy/filter.json")).unwrap();
    assert!(link.is_symlink());
    assert!(
        workspace
            .read("real.json")
            .contains("\"enable_firewall\": false")
    );
}

#[test]
fn a_file_that_is_a_mount_point_is_refused() {
    let workspace = Workspace::new();
    let path = workspace.path("envoy/filter.json");
    let source = workspace.path("source.json");
    fs::copy(&path, &source).unwrap();
    let status = Command::new("mount")
        .arg("--bind")
        .args([&source, &path])
        .status()
        .unwrap();
    assert!(
        status.success(),
        "a file can't be mounted: this test needs root"
    );
    let before = state(&workspace);
    let output = workspace.run(&["disable_firewall"]);
    let after = state(&workspace);
    let unmounted = Command::new("umount").arg(&path).status().unwrap();
    assert!(unmounted.success());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: envoy/filter.json was not changed: it is mounted as a single file and can't be replaced; mount its \
         directory instead, or change the file where it comes from\n"
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(after, before);
}

#[test]
fn a_command_waits_for_the_lock_of_another() {
    let workspace = Workspace::new();
    let lock = fs::File::open(workspace.path("envoy/filter.json")).unwrap();
    lock.lock().unwrap();
    let before = state(&workspace);
    let mut command = workspace.command(&["disable_firewall"]);
    let mut command = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It has opened the file when it waits for the lock.
    let waits = |process: u32| {
        let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .any(|path| path.ends_with("filter.json"))
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !waits(command.id()) {
        assert!(
            std::time::Instant::now() < deadline,
            "the file was never opened"
        );
        std::thread::yield_now();
    }
    assert_eq!(state(&workspace), before);
    assert!(command.try_wait().unwrap().is_none());
    drop(lock);
    assert!(command.wait().unwrap().success());
    assert_ne!(state(&workspace), before);
}
