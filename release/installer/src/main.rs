//! The only program of the image `portcullis-installer`: `cp SOURCE TARGET`, for an init container. Owns nothing else of cp.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(source), Some(target), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        eprintln!("usage: cp SOURCE TARGET");
        return ExitCode::from(2);
    };
    match std::fs::copy(&source, &target) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            let (source, target) = (source.display(), target.display());
            eprintln!("cp: {source} can't be copied to {target}: {error}");
            ExitCode::FAILURE
        }
    }
}
