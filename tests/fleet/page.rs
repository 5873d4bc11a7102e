//! The page changes real Envoys.

use super::fleet::{Fleet, Node, OPERATOR_TOKEN};
use super::harness::run;
use super::webdriver::Browser;
use serde_json::json;

/// Waits, in the thread of the browser, until `condition` holds.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !condition() {
        assert!(
            started.elapsed() < super::harness::DEADLINE,
            "never: {what}"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn switches_and_entries_on_the_page_apply_to_every_envoy() {
    run(async {
        let fleet = Fleet::start().await;
        fleet
            .abs
            .list(json!({"cookies": {"session": ["attacker"]}}))
            .await;
        let nodes = [fleet.node("node-1").await, fleet.node("node-2").await];
        let attack = |node: &Node| node.get().header("cookie", "session=attacker");
        for node in &nodes {
            node.until(&attack(node), true).await;
        }
        let url = format!("http://{}", fleet.address);
        let browser = tokio::task::block_in_place(|| {
            let browser = Browser::started();
            browser.open(&url);
            browser.fill("#token", OPERATOR_TOKEN);
            browser.click("form button");
            let headline = || browser.text("main");
            eventually("the page", || headline().contains("The fleet is protected"));
            eventually("both nodes", || {
                let text = headline();
                text.contains("node-1") && text.contains("node-2")
            });
            browser.click("#switch-portcullis-firewall");
            browser
        });
        for node in &nodes {
            node.until(&attack(node), false).await;
        }
        tokio::task::block_in_place(|| {
            eventually("the page knows", || {
                browser.text("main").contains("The fleet is not protected")
            });
            browser.click("#switch-portcullis-firewall");
        });
        for node in &nodes {
            node.until(&attack(node), true).await;
        }
        // A manual entry, by its form.
        tokio::task::block_in_place(|| {
            browser.fill("#entry-portcullis-value", "127.0.0.1");
            browser.click(".entry button[value=add]");
            eventually("the entry", || browser.text("#lists").contains("127.0.0.1"));
        });
        for node in &nodes {
            node.until(&node.get(), true).await;
        }
    });
}
