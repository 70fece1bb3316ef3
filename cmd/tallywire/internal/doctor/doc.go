// Package doctor looks whether a Redis is fit to carry events, and says what to do where it is not.
//
// Main path: [Examine] runs one check after another and reports a [Finding] for each. It changes nothing
// but a probe channel that expires within seconds, and the function library where [Options.Load] says so.
package doctor
