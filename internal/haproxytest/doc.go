// Package haproxytest puts HAProxy before three gateways of a test. [Start] and
// [StartBinding] run it as it is shipped; [StartOffice] as in an office where not everything gets through, which a test
// changes while it runs ([Office.Block]).
package haproxytest
