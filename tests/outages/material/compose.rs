//! The compose file. Containers can't be started here; but what it refers to can be looked at.

use std::collections::HashSet;

use super::{file, read};

fn values<'t>(text: &'t str, after: &str) -> Vec<&'t str> {
    let of =
        |line: &'t str| line.trim_start().strip_prefix(after).map(|value| value.trim_matches('"'));
    text.lines().filter_map(of).collect()
}

#[test]
fn files_that_are_mounted_are_there_and_no_port_is_open_to_others() {
    let text = read("docker-compose.yml");
    let images = values(&text, "image: ");
    assert!(images.contains(&"redis:7-alpine"), "{images:?}");
    assert!(images.iter().all(|image| image.contains(':')), "a version for each: {images:?}");

    let mounts = values(&text, "- ./");
    assert_eq!(mounts.len(), images.len());
    for mount in mounts {
        let (source, rest) = mount.split_once(':').expect("a source and a target");
        assert!(file(source).is_file(), "{source}");
        let (target, how) = rest.split_once(':').expect("a way");
        assert_eq!(how, "ro");
        assert!(text.contains(&format!("-server\", \"{target}\"]")), "{target}");
    }

    let ports: Vec<_> = values(&text, "- \"127.0.0.1:");
    assert_eq!(ports.len(), images.len());
    let distinct: HashSet<_> = ports.iter().filter_map(|port| port.split(':').next()).collect();
    assert_eq!(distinct.len(), ports.len(), "{ports:?}");
    assert!(ports.iter().all(|port| port.ends_with(":6379")));
}

/// Tabs, and blanks in odd numbers, are what such files break by most often.
#[test]
fn it_is_indented_by_twos() {
    for (number, line) in read("docker-compose.yml").lines().enumerate() {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        assert!(blanks % 2 == 0 && !line.contains('\t'), "line {}: {line:?}", number + 1);
    }
}
