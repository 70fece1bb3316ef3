// Package deploy holds tests of what Tallywire is run from beside the Helm chart: Dockerfile,
// docker-compose.yml, the configuration below deploy/, and how releases are made. It is a module of its own,
// so that nobody who builds Tallywire builds what reads compositions and Dockerfiles.
//
// No test needs an engine of containers, and none builds or starts an image: compositions are read by
// compose-go as Docker does it, the Dockerfile is turned into its build graph by BuildKit's own front end
// (with images that are made up, since no registry is asked), and the programs that the files configure
// (tallywire, HAProxy, Prometheus) examine them themselves. What `docker compose up` would start is run, as
// the same processes with the same configuration, by scripts/cluster.sh.
package deploy
