//! Research only.
use sensor::{
    capture::Captures,
    config,
    evaluate::labeller::Labeller,
    features::Extractor,
    labels::Labels,
    replay::{
        Feed,
        drive::{extractor_settings, feed_settings},
        stream,
    },
};
use std::io::Write;
use std::path::PathBuf;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let out = &args[1];
    let labels = if args[2] == "-" {
        Labels::read("frame,label\n".as_bytes(), "x".as_ref()).unwrap()
    } else {
        Labels::open(args[2].as_ref()).unwrap()
    };
    let paths: Vec<PathBuf> = args[3..].iter().map(PathBuf::from).collect();
    let settings = config::load(None, &|n| std::env::var(n).ok(), &[]).unwrap();
    let mut captures = Captures::open(&paths).unwrap();
    let mut feed = Feed::new(&feed_settings(&settings, 1));
    let mut ex = Extractor::new(&extractor_settings(&settings), 1);
    let mut f: Vec<std::io::BufWriter<std::fs::File>> = ["flow", "host"]
        .iter()
        .map(|k| std::io::BufWriter::new(std::fs::File::create(format!("{out}.{k}")).unwrap()))
        .collect();
    let mut addr: std::collections::BTreeMap<[u8; 16], u32> = Default::default();
    let mut w = 0f32;
    let before = vec![0u64; paths.len()];
    stream(
        &mut captures,
        &mut feed,
        Labeller::new(&labels, &before),
        &mut |_| (),
        &mut |closed, note| {
            let rows = ex.rows(&closed.window);
            for (i, rows) in [&rows.flow, &rows.host].into_iter().enumerate() {
                for (n, key) in rows.keys.iter().enumerate() {
                    let mut id = |a: [u8; 16]| {
                        let l = addr.len() as u32;
                        *addr.entry(a).or_insert(l) as f32
                    };
                    let mal: i32 = if i == 0 {
                        note.flows.get(&key.flow).map_or(-1, |l| i32::from(*l))
                    } else {
                        note.flows
                            .iter()
                            .find(|(k, _)| k.addr.contains(&key.initiator))
                            .map_or(-1, |(_, l)| i32::from(*l))
                    };
                    let head = [
                        w,
                        mal as f32,
                        key.family as u8 as f32,
                        id(key.initiator),
                        id(key.responder),
                        key.service_port as f32,
                        key.proto as f32,
                    ];
                    for v in head.iter().chain(rows.row(n)) {
                        f[i].write_all(&v.to_le_bytes()).unwrap();
                    }
                }
            }
            w += 1.0;
            std::ops::ControlFlow::Continue(())
        },
    )
    .unwrap();
    let mut names = std::fs::File::create(format!("{out}.names")).unwrap();
    for k in sensor::features::RowKind::ALL {
        writeln!(
            names,
            "{}",
            k.features().iter().map(|f| f.name).collect::<Vec<_>>().join(",")
        )
        .unwrap();
    }
    writeln!(names, "{}", labels.names().join(",")).unwrap();
    let mut a: Vec<_> = addr.into_iter().collect();
    a.sort_by_key(|x| x.1);
    writeln!(
        names,
        "{}",
        a.iter()
            .map(|(x, _)| sensor::alert::address_text(x))
            .collect::<Vec<_>>()
            .join(",")
    )
    .unwrap();
}
