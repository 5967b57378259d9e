"use strict";
// What MTurk's own script gave to pages, by the names that pages call it by: the parameters of the frame's address,
// and the form made ready.
function turkGetParam(name, otherwise) {
  const value = new URLSearchParams(location.search).get(name);
  return value === null ? (otherwise === undefined ? "" : otherwise) : value;
}
function turkGetSubmitToHost() {
  return turkGetParam("turkSubmitTo", location.origin);
}
function turkSetAssignmentID(formName, buttonName) {
  const assignment = turkGetParam("assignmentId", "");
  const field = document.getElementById("assignmentId");
  if (field) field.value = assignment;
  const button = document.getElementById(buttonName || "submitButton");
  if (button && assignment === "ASSIGNMENT_ID_NOT_AVAILABLE") {
    button.disabled = true;
    button.value = "Accept the task before you submit it.";
  }
}
