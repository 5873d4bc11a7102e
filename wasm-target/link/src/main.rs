//! The link step: makes the shippable module out of what rustc linked.
//!
//! Owns the order of the steps and the command line: cut the exports, optimise with wasm-opt, check what came out,
//! put it in place in one rename. What the steps do to the bytes stands in [`module`]; the lists in [`list`].

mod error;
mod list;
mod module;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use error::LinkError;

const USAGE: &str = "usage: portcullis-link --input FILE --output FILE --exports LIST --imports LIST \
--wasm-opt PROGRAM --size-limit BYTES [--allow-oversize] [--keep-names]";

/// What wasm-opt may use: what V8 in every Envoy since 1.33 runs. [`module::check_features`] holds the result to it.
const WASM_OPT_FLAGS: [&str; 7] = [
    "-O3",
    "--converge",
    "--mvp-features",
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
];

fn main() -> ExitCode {
    let result = Options::parse(std::env::args_os().skip(1)).and_then(|options| link(&options));
    match result {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("portcullis-link: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The command line.
struct Options {
    input: PathBuf,
    output: PathBuf,
    exports: PathBuf,
    imports: PathBuf,
    wasm_opt: PathBuf,
    size_limit: usize,
    /// Says so, but puts the module in place all the same: for work on a module that is to shrink.
    allow_oversize: bool,
    keep_names: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Self, LinkError> {
        let mut values: [(&str, Option<OsString>); 6] = [
            ("--input", None),
            ("--output", None),
            ("--exports", None),
            ("--imports", None),
            ("--wasm-opt", None),
            ("--size-limit", None),
        ];
        let mut allow_oversize = false;
        let mut keep_names = false;
        while let Some(argument) = arguments.next() {
            if argument == "--keep-names" {
                keep_names = true;
                continue;
            }
            if argument == "--allow-oversize" {
                allow_oversize = true;
                continue;
            }
            let Some((name, value)) = values.iter_mut().find(|(name, _)| argument == *name) else {
                return Err(usage(format!("{argument:?} is no option")));
            };
            *value = Some(
                arguments
                    .next()
                    .ok_or_else(|| usage(format!("{name} needs a value")))?,
            );
        }
        let missing: Vec<&str> = values
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| *name)
            .collect();
        let missing = format!("missing: {}", missing.join(", "));
        let [
            (_, Some(input)),
            (_, Some(output)),
            (_, Some(exports)),
            (_, Some(imports)),
            (_, Some(wasm_opt)),
            (_, Some(size_limit)),
        ] = values
        else {
            return Err(usage(missing));
        };
        Ok(Self {
            input: input.into(),
            output: output.into(),
            exports: exports.into(),
            imports: imports.into(),
            wasm_opt: wasm_opt.into(),
            size_limit: size_limit
                .to_str()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| usage(format!("--size-limit {size_limit:?} is no number")))?,
            allow_oversize,
            keep_names,
        })
    }
}

fn usage(problem: String) -> LinkError {
    LinkError::Usage(format!("{problem}\n{USAGE}"))
}

fn link(options: &Options) -> Result<String, LinkError> {
    let input = read(&options.input)?;
    let exports = list::parse(&read_text(&options.exports)?);
    let imports = list::parse(&read_text(&options.imports)?);

    let cut = module::cut_exports(&input, &exports, options.keep_names)?;
    let scratch = Scratch::beside(&options.output);
    write(&scratch.cut, &cut)?;
    optimise(options, &scratch)?;
    let linked = read(&scratch.linked)?;

    module::check_features(&linked)?;
    module::check_exports(&linked, &exports)?;
    let n_imports = module::check_imports(&linked, &imports, &options.imports)?;
    if linked.len() > options.size_limit {
        let error = LinkError::TooLarge {
            size: linked.len(),
            limit: options.size_limit,
        };
        if !options.allow_oversize {
            return Err(error);
        }
        eprintln!(
            "portcullis-link: {error}; put in place all the same, since --allow-oversize asks for it"
        );
    }
    // A running Envoy may watch the old module: it must never see half of the new one.
    fs::rename(&scratch.linked, &options.output)
        .map_err(|error| LinkError::io("put in place", &options.output, &error))?;
    Ok(format!(
        "{}: {} bytes of at most {} ({} before this step), {} exports, {n_imports} imports",
        options.output.display(),
        linked.len(),
        options.size_limit,
        input.len(),
        exports.len(),
    ))
}

/// Files between the steps. They stand beside the output, so that the last rename stays on one file system, and
/// carry this process's number, so that two runs at once do not meet.
struct Scratch {
    cut: PathBuf,
    linked: PathBuf,
}

impl Scratch {
    fn beside(output: &Path) -> Self {
        let number = std::process::id();
        Self {
            cut: output.with_extension(format!("{number}.cut")),
            linked: output.with_extension(format!("{number}.linked")),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for file in [&self.cut, &self.linked] {
            // Most of the time one is gone already, and a file left over does no harm.
            let _ = fs::remove_file(file);
        }
    }
}

fn optimise(options: &Options, scratch: &Scratch) -> Result<(), LinkError> {
    let mut command = Command::new(&options.wasm_opt);
    command.args(WASM_OPT_FLAGS);
    if options.keep_names {
        command.arg("--debuginfo");
    }
    let output = command
        .arg(&scratch.cut)
        .arg("--output")
        .arg(&scratch.linked)
        .output()
        .map_err(|error| LinkError::io("run", &options.wasm_opt, &error))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(LinkError::WasmOpt {
            status: output.status,
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LinkError> {
    fs::read(path).map_err(|error| LinkError::io("read", path, &error))
}

fn read_text(path: &Path) -> Result<String, LinkError> {
    fs::read_to_string(path).map_err(|error| LinkError::io("read", path, &error))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), LinkError> {
    fs::write(path, bytes).map_err(|error| LinkError::io("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options, LinkError> {
        Options::parse(words.split_whitespace().map(OsString::from))
    }

    #[test]
    fn every_option_is_asked_for_by_name() {
        let all =
            "--input a --output b --exports c --imports d --wasm-opt e --size-limit 7 --keep-names";
        let options = parse(all).ok().unwrap();
        assert_eq!(options.input, Path::new("a"));
        assert_eq!(options.wasm_opt, Path::new("e"));
        assert_eq!(options.size_limit, 7);
        assert!(options.keep_names);
        assert!(
            !options.allow_oversize,
            "the bound holds unless asked otherwise"
        );
        for (words, problem) in [
            (
                "--input a --exports b --imports c",
                "missing: --output, --wasm-opt, --size-limit",
            ),
            ("--input", "--input needs a value"),
            ("--inptu a", "\"--inptu\" is no option"),
            (
                &*all.replace(" 7 ", " 7k "),
                "--size-limit \"7k\" is no number",
            ),
        ] {
            let message = parse(words).err().unwrap().to_string();
            assert!(message.starts_with(problem), "{message}");
        }
    }
}
