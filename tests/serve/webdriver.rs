//! A browser: headless Chromium, driven by plain WebDriver over HTTP.
//!
//! Sources: W3C WebDriver; ChromeDriver's `goog/cdp/execute`.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The key of an element's identifier, by the standard.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The tab key, by the standard.
pub const TAB: &str = "\u{E004}";

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one window.
pub struct Browser {
    driver: Child,
    session: String,
    agent: ureq::Agent,
}

impl Browser {
    /// Starts ChromeDriver, and a Chromium.
    pub fn started() -> Self {
        let program = program();
        let driver = Command::new(&program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut driver = driver.unwrap_or_else(|error| {
            panic!(
                "{}: {error}: the tests of the page need Chromium; install it: tools/install chromium",
                program.display()
            )
        });
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let port = lines.find_map(|line| {
            let port = line.split("successfully on port ").nth(1)?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        // It must not write into a closed pipe.
        thread::spawn(move || lines.for_each(drop));
        let Some(port) = port else {
            let _ = driver.kill();
            let _ = driver.wait();
            panic!(
                "{} does not run; install Chromium: tools/install chromium",
                program.display()
            );
        };
        let mut browser = Self {
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
            agent: ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(PATIENCE))
                .build()
                .new_agent(),
        };
        let mut options = json!({"args": [
            "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-sandbox", "--window-size=1280,900",
        ]});
        let home = home();
        if home.join("chromedriver") == program {
            options["binary"] = json!(home.join("usr/lib/chromium/chromium"));
        }
        let capabilities =
            json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let session = browser.post("", &capabilities);
        let id = session["sessionId"].as_str().unwrap();
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    pub fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Clicks, and waits for the page that follows.
    pub fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// Replaces the text of a field.
    pub fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(
            &format!("/element/{element}/value"),
            &json!({ "text": text }),
        );
    }

    /// Presses a key, and releases it.
    pub fn press(&self, key: &str) {
        let actions = ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key}));
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.post("/actions", &json!({ "actions": [keyboard] }));
    }

    /// The value of a JavaScript expression, also where the page's own scripts are disabled.
    pub fn value_of(&self, expression: &str) -> Value {
        self.post(
            "/execute/sync",
            &json!({"script": format!("return {expression}"), "args": []}),
        )
    }

    /// The text of an element; empty if there is none.
    pub fn text(&self, selector: &str) -> String {
        let text = self.value_of(&format!(
            "document.querySelector({})?.innerText",
            json!(selector)
        ));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// An attribute of an element.
    pub fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let value = self.value_of(&format!(
            "document.querySelector({})?.getAttribute({})",
            json!(selector),
            json!(name)
        ));
        value.as_str().map(str::to_owned)
    }

    /// A command of Chromium's own protocol.
    pub fn chromium(&self, command: &str, parameters: &Value) -> Value {
        self.post(
            "/goog/cdp/execute",
            &json!({"cmd": command, "params": parameters}),
        )
    }

    /// No script of a page runs from now on.
    pub fn disable_javascript(&self) {
        self.chromium(
            "Emulation.setScriptExecutionDisabled",
            &json!({"value": true}),
        );
    }

    /// The size of the screen.
    pub fn resize(&self, width: u32, height: u32) {
        self.chromium(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        );
    }

    /// `light` or `dark`.
    pub fn color_scheme(&self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.chromium(
            "Emulation.setEmulatedMedia",
            &json!({ "features": [feature] }),
        );
    }

    /// The whole page as a PNG file.
    pub fn screenshot(&self) -> Vec<u8> {
        let options = json!({"format": "png", "captureBeyondViewport": true});
        let shot = self.chromium("Page.captureScreenshot", &options);
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    fn find(&self, selector: &str) -> String {
        let found = self.post(
            "/element",
            &json!({"using": "css selector", "value": selector}),
        );
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Sends a command; the value of its result.
    fn post(&self, path: &str, body: &Value) -> Value {
        let sent = self
            .agent
            .post(format!("{}{path}", self.session))
            .header("content-type", "application/json")
            .send(body.to_string());
        let mut response = sent.unwrap();
        let text = response.body_mut().with_config().limit(1 << 28);
        let text = text.read_to_string().unwrap();
        let mut result: Value = serde_json::from_str(&text).unwrap();
        let value = result["value"].take();
        assert!(
            value.get("error").is_none(),
            "{path} {body}: {}",
            value["message"]
        );
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Where tools/install puts Chromium: at the root of the repository, for tests of each of its packages.
fn home() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package
        .parent()
        .filter(|root| root.join("tools/install").exists());
    root.unwrap_or(package).join(".tools/chromium")
}

/// ChromeDriver: that of tools/install, or the system's.
fn program() -> PathBuf {
    let installed = home().join("chromedriver");
    match installed.exists() {
        true => installed,
        false => "chromedriver".into(),
    }
}
