//! Simulated nodes of a fleet: what Envoys with `envoy/fleet.yaml` ask of `portcullis serve`.
//!
//! | module | owns |
//! |---|---|
//! | `node` | one node: its schedule, its connection, its requests |
//! | `tally` | latencies, errors and the state of all nodes |
//!
//! Commands are lines on standard input, and each has one line of JSON as its reply:
//!
//! | command | reply |
//! |---|---|
//! | `samples` | requests since the last `samples`: latencies, statuses, errors, bytes |
//! | `state` | the number of nodes by configuration and by list, and of those with a response since `mark` |
//! | `mark` | nothing: starts to count |
//!
//! The program ends with its standard input.

mod node;
mod tally;

use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;

use crate::node::{Node, Plan};
use crate::tally::{Tally, locked};

/// Simulates the nodes of a fleet.
#[derive(Parser)]
struct Arguments {
    /// The server.
    #[arg(long)]
    server: SocketAddr,
    /// How many nodes there are.
    #[arg(long, default_value_t = 100)]
    nodes: usize,
    /// A DiscoveryRequest as Envoy writes it, with @NODE@ as the node's id.
    #[arg(long)]
    request: PathBuf,
    /// Seconds between two requests for the configuration.
    #[arg(long, default_value_t = 5.0)]
    poll: f64,
    /// The longest random addition to them, as a share: 1 is Envoy's.
    #[arg(long, default_value_t = 1.0)]
    spread: f64,
    /// The path of the list; without it, no list is fetched.
    #[arg(long)]
    list: Option<String>,
    /// Seconds between two requests for the list.
    #[arg(long, default_value_t = 60.0)]
    interval: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let plan = Plan {
        server: arguments.server,
        request: node::Template::new(&std::fs::read_to_string(&arguments.request)?)?,
        poll: Duration::try_from_secs_f64(arguments.poll)?,
        spread: Duration::try_from_secs_f64(arguments.poll * arguments.spread)?,
        list: arguments.list,
        interval: Duration::try_from_secs_f64(arguments.interval)?,
    };
    let tally = Arc::new(Mutex::new(Tally::new(arguments.nodes)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let plan = Arc::new(plan);
    for number in 0..arguments.nodes {
        runtime.spawn(Node::new(number, plan.clone(), tally.clone()).run());
    }
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    for command in std::io::stdin().lock().lines() {
        let reply = match command?.as_str() {
            "samples" => locked(&tally).samples(),
            "state" => locked(&tally).state(),
            "mark" => locked(&tally).mark(),
            other => return Err(format!("the command \"{other}\" is not known").into()),
        };
        println!("{reply}");
        std::io::stdout().flush()?;
    }
    Ok(())
}
