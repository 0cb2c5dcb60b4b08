// What every page runs: the live stream, the charts, the controls, and times in the reader's zone.
import "./live.js";
import "./charts.js";
import "./controls.js";
import "./times.js";
import "./actions.js";
