"use strict";
// The page of a task sent its form inside of the frame: the whole tab goes on.
top.location.replace(document.getElementById("on").href);
