// Package config is what a gateway is told at its start: [Serve] holds the settings, whose names are the
// flags' names, the keys of the YAML file, and with TALLYWIRE_ in front the environment variables.
//
// Main path: the program parses flags into a Serve with a [Sources] as resolver, so that each setting
// comes from the first of flag, environment, file and default that has it; [Sources.Problems] tells what
// could not be read, [Serve.Validate] what is out of range; [Print] shows the outcome and where each
// value came from.
package config
